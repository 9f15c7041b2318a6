// Package flame shows profiles: as flame graphs and tables made by the driver of github.com/google/pprof, and as a short list of
// functions.
//
//	prof, err := flame.Parse(file)
//	top := flame.Describe(prof, flame.Choice{})
//	page, err := flame.Render(ctx, "flamegraph", prof, nil, query)
//
// # Safety
//
// Names of functions and values of labels come from what runs in the process, and may be chosen by strangers. The driver escapes
// them. Should it fail at that one day, its page still cannot do much: [Page.Policy] gives it an origin of its own that can
// read nothing of ours, lets it load nothing, and permits exactly as many scripts as the driver's page has. Only three views of the
// driver are used. Those that run other programs, read source files or write settings cannot be reached.
//
// # Cost
//
// A page takes some 50 to 250 ms and a few times the profile's unpacked size in memory, while it is made; profiles of more than
// 32 MB unpacked are refused. The driver keeps its settings in variables of its package, so one page is made at a time.
package flame
