package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.source, "source", "..", "`folder` of the checkout")
	flag.StringVar(&o.out, "out", "../dist", "`folder` for the packages")
	arch := flag.String("arch", "amd64,arm64", "architectures, by Go's names")
	flag.StringVar(&o.version, "version", "", "another version of the packages than the binary has, for tests")
	flag.Parse()
	o.architectures = strings.Split(*arch, ",")
	files, err := release(ctx, o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "packaging: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(strings.Join(files, "\n"))
}

type options struct {
	source, out   string
	architectures []string
	version       string // empty: the binary's
}

// release builds everything, and returns the files that it wrote.
func release(ctx context.Context, o options) (written []string, err error) {
	work, err := os.MkdirTemp("", "straks-packaging-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, err
	}
	t, err := newTree(ctx, o.source, filepath.Join(work, "source"))
	if err != nil {
		return nil, err
	}
	native, err := t.build(ctx, runtime.GOARCH, filepath.Join(work, "native"))
	if err != nil {
		return nil, err
	}
	generated, err := t.generate(ctx, native, filepath.Join(work, "generated"))
	if err != nil {
		return nil, err
	}
	for _, arch := range o.architectures {
		binary := native
		if arch != runtime.GOARCH {
			if binary, err = t.build(ctx, arch, filepath.Join(work, arch)); err != nil {
				return nil, err
			}
		}
		files, err := t.pack(o, arch, binary, generated)
		if err != nil {
			return nil, err
		}
		written = append(written, files...)
	}
	sums, err := writeSums(o.out, written)
	return append(written, sums), err
}

// pack writes the SBOM and the packages of one architecture.
func (t *tree) pack(o options, arch, binary, generated string) (written []string, err error) {
	version := o.version
	if version == "" {
		if version, err = packageVersion(binary); err != nil {
			return nil, err
		}
	}
	sbom := filepath.Join(o.out, fmt.Sprintf("straks_%s_%s.cdx.json", version, arch))
	if err := writeSBOM(binary, version, t.time, sbom); err != nil {
		return nil, err
	}
	written = append(written, sbom)
	for _, format := range []string{"deb", "rpm"} {
		info, err := t.info(format, arch, version, binary, generated, sbom)
		if err != nil {
			return nil, err
		}
		path, err := writePackage(format, info, o.out)
		if err != nil {
			return nil, err
		}
		written = append(written, path)
	}
	return written, nil
}

func writePackage(format string, info *nfpm.Info, folder string) (string, error) {
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	info = nfpm.WithDefaults(info)
	path := filepath.Join(folder, packager.ConventionalFileName(info))
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := packager.Package(info, file); err != nil {
		file.Close()
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return path, file.Close()
}

// writeSums writes the digests as sha256sum(1) reads them.
func writeSums(folder string, files []string) (string, error) {
	var sums strings.Builder
	for _, path := range slices.Sorted(slices.Values(files)) {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), filepath.Base(path))
	}
	path := filepath.Join(folder, "SHA256SUMS")
	return path, os.WriteFile(path, []byte(sums.String()), 0o644)
}
