package smsctest

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// IDForm is how a message id is written. SMSCs are known to write it one way in
// the answer and another in the receipt.
type IDForm uint8

const (
	IDDecimal       IDForm = iota
	IDHex                  // lower case
	IDHexUpper             // upper case
	IDDecimalPadded        // with zeros to 12 digits
	IDHexPadded            // with zeros to 10 digits, lower case
	IDUUID                 // lower case
	IDUUIDUpper            // upper case
	IDNone                 // empty
)

// idForms are the names in rules and flags.
var idForms = map[string]IDForm{
	"decimal": IDDecimal, "hex": IDHex, "HEX": IDHexUpper,
	"padded": IDDecimalPadded, "hex-padded": IDHexPadded,
	"uuid": IDUUID, "UUID": IDUUIDUpper, "none": IDNone,
}

// write returns the n-th message id in this form.
func (f IDForm) write(n uint64) string {
	switch f {
	case IDHex:
		return strconv.FormatUint(n, 16)
	case IDHexUpper:
		return fmt.Sprintf("%X", n)
	case IDDecimalPadded:
		return fmt.Sprintf("%012d", n)
	case IDHexPadded:
		return fmt.Sprintf("%010x", n)
	case IDUUID:
		return numberedUUID(n).String()
	case IDUUIDUpper:
		return fmt.Sprintf("%X-%X-%X-%X-%X", split(numberedUUID(n))...)
	case IDNone:
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// numberedUUID spreads n over a version 4 UUID, the same for the same n.
func numberedUUID(n uint64) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], n*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(u[8:], n)
	u[6] = u[6]&0x0F | 0x40
	u[8] = u[8]&0x3F | 0x80
	return u
}

func split(u uuid.UUID) []any { return []any{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} }
