package bolt

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// encoder appends to a buffer. Strings and lists are preceded by their length
// as a uvarint.
type encoder struct{ b []byte }

func (e *encoder) byte(v byte)      { e.b = append(e.b, v) }
func (e *encoder) uint(v uint64)    { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)      { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) uuid(v uuid.UUID) { e.b = append(e.b, v[:]...) }

func (e *encoder) string(v string) {
	e.uint(uint64(len(v)))
	e.b = append(e.b, v...)
}

func (e *encoder) strings(v []string) {
	e.uint(uint64(len(v)))
	for _, s := range v {
		e.string(s)
	}
}

// field appends a field of a record: its number, and what write appends, preceded by its length.
func (e *encoder) field(number byte, write func(*encoder)) {
	e.byte(number)
	at := len(e.b)
	e.byte(0)
	write(e)
	if n := len(e.b) - at - 1; n < 0x80 {
		e.b[at] = byte(n) // a uvarint of one octet
	} else {
		value := append([]byte(nil), e.b[at+1:]...)
		e.b = e.b[:at]
		e.uint(uint64(n))
		e.b = append(e.b, value...)
	}
}

// decoder reads what encoder wrote. After the first fault everything reads as
// zero and bad is set, so that callers look once.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.take(uint64(n))
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.take(uint64(n))
	return v
}

func (d *decoder) uuid() (id uuid.UUID) {
	copy(id[:], d.take(16))
	return id
}

func (d *decoder) string() string { return string(d.take(d.uint())) }

// count reads the length of a list whose elements take at least one octet each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) strings() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	v := make([]string, n)
	for i := range v {
		v[i] = d.string()
	}
	return v
}

// fields calls read for each field that is left. What read leaves of a field is skipped.
func (d *decoder) fields(read func(number byte, f *decoder)) {
	for len(d.b) > 0 && !d.bad {
		number := d.byte()
		f := decoder{b: d.take(d.uint())}
		read(number, &f)
		d.bad = d.bad || f.bad
	}
}

// end reports whether everything was read, without a fault.
func (d *decoder) end() bool { return !d.bad && len(d.b) == 0 }

// idMicro returns the time in a UUIDv7, in µs (RFC 9562 §5.7 has ms).
func idMicro(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(id[:8])>>16) * 1000
}

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }
