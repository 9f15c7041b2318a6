package agent

import (
	"context"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// newResource describes the service. What is said later wins: detection, the environment, the options.
//
// Command-line arguments and the user's name are left out: arguments carry secrets, and every backend would store them.
func newResource(ctx context.Context, c config) *resource.Resource {
	// A detector that finds nothing, for lack of a container or of a host name, is no reason not to start.
	detected, _ := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithService(), // service.name of the program's file, and a random service.instance.id
		resource.WithHost(),
		resource.WithOSType(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithContainer(),
	)
	build, hasBuild := debug.ReadBuildInfo()
	if hasBuild {
		if v := serviceVersion(build); v != "" {
			detected = merge(detected, resource.NewSchemaless(semconv.ServiceVersion(v)))
		}
	}
	// readEnv has refused what is wrong; what the SDK still says is of a comma too many, as in "$OTEL_RESOURCE_ATTRIBUTES,team=a".
	fromEnv, _ := resource.New(ctx, resource.WithFromEnv())
	r := merge(detected, fromEnv)
	if c.resource != nil {
		r = merge(r, c.resource)
	}
	if c.serviceName != "" {
		r = merge(r, resource.NewSchemaless(semconv.ServiceName(c.serviceName)))
	}
	return r
}

// merge overlays b on a. Resources of two schema versions keep all attributes and lose only the schema URL.
func merge(a, b *resource.Resource) *resource.Resource {
	r, err := resource.Merge(a, b)
	if err != nil && r == nil {
		return a
	}
	return r
}

// serviceVersion is the main module's version, or the commit where that is not known, or "".
func serviceVersion(build *debug.BuildInfo) string {
	if v := build.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return ""
}

// resourceString returns a resource attribute as text, or "" where it is missing.
func resourceString(r *resource.Resource, key attribute.Key) string {
	v, ok := r.Set().Value(key)
	if !ok {
		return ""
	}
	return v.String()
}
