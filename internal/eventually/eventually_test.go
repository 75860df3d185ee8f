package eventually

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		True(t, "a second", func() bool { return time.Since(start) >= time.Second })
		if took := time.Since(start); took != time.Second {
			t.Errorf("returned after %v", took)
		}
	})
}

// failing ends True by a panic in place of the end of a test.
type failing struct{ testing.TB }

func (f failing) Fatalf(string, ...any) { panic(f) }

func TestTrueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		defer func() {
			if took := time.Since(start); recover() == nil || took < patience || took > 2*patience {
				t.Errorf("ended after %v", took)
			}
		}()
		True(failing{t}, "nothing", func() bool { return false })
	})
}
