package gsm_test

import (
	"testing"

	"straks/smpp/gsm"
)

// BenchmarkOneTimeCode is all the work of this package for a usual message.
func BenchmarkOneTimeCode(b *testing.B) {
	const text = "Koden din er 123456. Den er gyldig i fem minutter på Ærøy."
	b.ReportAllocs()
	for b.Loop() {
		e := gsm.Choose(text)
		parts, err := gsm.Split(e, text, gsm.UDH8Len)
		if err != nil || len(parts) != 1 {
			b.Fatal(parts, err)
		}
		if _, err := gsm.Append(nil, e, parts[0]); err != nil {
			b.Fatal(err)
		}
	}
}
