package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// HeaderLen is the length of a PDU header in octets.
	HeaderLen = 16
	// MaxFrame is the longest PDU that is read or written, in octets: a
	// message_payload of 65535 octets and all other fields.
	MaxFrame = 70_000
)

// readBuffer holds about 200 usual PDUs, so that a burst costs one read.
const readBuffer = 32 << 10

// Header is the header of a PDU (SMPP 3.4 §3.2). Length is that of a PDU that was read;
// [Append] ignores it and computes its own.
type Header struct {
	Length   uint32
	ID       CommandID
	Status   Status
	Sequence uint32
}

// Frame is one whole PDU, its body not decoded. The receiver owns the body: the reader
// does not use it again.
type Frame struct {
	Header
	Body []byte
}

// FrameError is an impossible command_length. It ends the session, since the start of
// the next PDU is unknown. The peer should get a generic_nack with
// ESME_RINVCMDLEN (SMPP 3.4 §4.3.1).
type FrameError struct {
	Header Header // as read; its Length is the fault
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("smpp: command_length %d is not between %d and %d", e.Header.Length, HeaderLen, MaxFrame)
}

// Reader cuts a stream into frames.
type Reader struct {
	r    *bufio.Reader
	head [HeaderLen]byte
}

// NewReader returns a Reader of the PDUs in r. It reads ahead.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, readBuffer)}
}

// Next returns the next PDU. Between two PDUs the end of the stream is io.EOF,
// inside one io.ErrUnexpectedEOF. A [FrameError] cannot be recovered from.
func (r *Reader) Next() (Frame, error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{Header: parseHeader(r.head[:])}
	if f.Length < HeaderLen || f.Length > MaxFrame {
		return Frame{}, &FrameError{Header: f.Header}
	}
	if f.Length == HeaderLen {
		return f, nil
	}
	f.Body = make([]byte, f.Length-HeaderLen)
	if _, err := io.ReadFull(r.r, f.Body); err != nil {
		return Frame{}, fmt.Errorf("smpp: in %v: %w", f.ID, unexpected(err))
	}
	return f, nil
}

// unexpected distinguishes the end of the stream inside a PDU from one between two.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func parseHeader(b []byte) Header {
	return Header{
		Length:   binary.BigEndian.Uint32(b[0:]),
		ID:       CommandID(binary.BigEndian.Uint32(b[4:])),
		Status:   Status(binary.BigEndian.Uint32(b[8:])),
		Sequence: binary.BigEndian.Uint32(b[12:]),
	}
}

// appendHeader writes h with an empty command_length, which Append fills in.
func appendHeader(dst []byte, h Header) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.ID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Status))
	return binary.BigEndian.AppendUint32(dst, h.Sequence)
}
