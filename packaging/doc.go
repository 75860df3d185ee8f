// Command packaging builds the packages of a release from the commit that is checked out, not from the
// working tree: .deb and .rpm for each architecture, a CycloneDX SBOM of each binary, and SHA256SUMS.
//
//	go -C packaging run . [-out ../dist] [-arch amd64,arm64] [-version VERSION]
//
// The same commit gives the same octets, with the same version of Go: a clone of the commit is built with
// -trimpath, and every time in a package is that of the commit. The version is that of the commit's tag
// (v1.2.3), which the Go toolchain writes into the binary; a commit without one has a version below that of
// the next release, such as 0.0.0~20261129195624.5038a4f12345.
//
// It is a module of its own, since the packager brings 40 modules that the product does not need.
//
//	main.go      the command line, and the steps
//	build.go     the clone, binaries, manual pages and completions
//	contents.go  what a package has, and where
//	sbom.go      the list of modules in a binary
//	straks.toml  the configuration that a package begins with
//	scripts/     what runs when a package is installed, upgraded and removed
package main
