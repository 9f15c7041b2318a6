// Package kubernetes holds what deploy/ gives to a cluster against Kubernetes' own types and against itself: no cluster is needed. The
// manifests are put together as "kubectl apply -k deploy" does it, by kustomize, and decoded as strictly as an API server can: an unknown,
// misspelt or repeated field is an error.
package kubernetes
