package main

import (
	"cmp"
	"debug/buildinfo"
	"os"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// writeSBOM writes the modules that a binary has, as the toolchain noted them in it.
func writeSBOM(binary, version string, at time.Time, path string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	module := func(kind cdx.ComponentType, path, version string) cdx.Component {
		purl := "pkg:golang/" + path + "@" + version
		return cdx.Component{Type: kind, BOMRef: purl, Name: path, Version: version, PackageURL: purl}
	}
	standard := module(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))
	libraries, refs := []cdx.Component{standard}, []string{standard.BOMRef}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := module(cdx.ComponentTypeLibrary, m.Path, m.Version)
		libraries, refs = append(libraries, c), append(refs, c.BOMRef)
	}
	var settings []cdx.Property
	for _, s := range info.Settings {
		if s.Key == "GOARCH" || s.Key == "GOOS" || strings.HasPrefix(s.Key, "vcs") || s.Key == "CGO_ENABLED" {
			settings = append(settings, cdx.Property{Name: "go:" + s.Key, Value: s.Value})
		}
	}
	product := module(cdx.ComponentTypeApplication, "straks", version)
	product.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "MIT"}}}
	product.Properties = &settings
	bom := cdx.NewBOM()
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, []byte(product.PackageURL+" "+cmp.Or(setting(info, "vcs.revision"), "none")+" "+setting(info, "GOARCH"))).URN()
	bom.Metadata = &cdx.Metadata{Timestamp: at.Format(time.RFC3339), Component: &product}
	bom.Components = &libraries
	bom.Dependencies = &[]cdx.Dependency{{Ref: product.BOMRef, Dependencies: &refs}}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := cdx.NewBOMEncoder(file, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
