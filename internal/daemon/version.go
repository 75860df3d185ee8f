package daemon

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// Version returns what the toolchain stamped into this binary: the module's
// version, the revision ("-dirty" where the checkout was changed), and Go's version.
func Version() (version, revision, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)", "(unknown)", "(unknown)"
	}
	revision = "(no revision)"
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return info.Main.Version, revision + dirty, info.GoVersion
}

// buildInfo is the metric that names the build in its labels.
func buildInfo() prometheus.Collector {
	version, revision, goVersion := Version()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_build_info", Help: "Always 1; the labels tell the build.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": goVersion}}, func() float64 { return 1 })
}
