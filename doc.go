// Package agent puts network observability into a Go service with one call.
package agent
