package wire

import (
	"bytes"
	"encoding/binary"
)

// TLV is one optional parameter (SMPP 3.4 §5.3). TLVs are written in the order
// given, and read in the order found, duplicates included.
type TLV struct {
	Tag   uint16
	Value []byte
}

// Tags of optional parameters (SMPP 3.4 §5.3.2).
const (
	TagSourceTelematicsID       uint16 = 0x0010
	TagQoSTimeToLive            uint16 = 0x0017
	TagPayloadType              uint16 = 0x0019
	TagAdditionalStatusInfoText uint16 = 0x001D
	TagReceiptedMessageID       uint16 = 0x001E
	TagPrivacyIndicator         uint16 = 0x0201
	TagSourceSubaddress         uint16 = 0x0202
	TagDestSubaddress           uint16 = 0x0203
	TagUserMessageReference     uint16 = 0x0204
	TagUserResponseCode         uint16 = 0x0205
	TagSourcePort               uint16 = 0x020A
	TagDestinationPort          uint16 = 0x020B
	TagSARMsgRefNum             uint16 = 0x020C
	TagLanguageIndicator        uint16 = 0x020D
	TagSARTotalSegments         uint16 = 0x020E
	TagSARSegmentSeqnum         uint16 = 0x020F
	TagSCInterfaceVersion       uint16 = 0x0210
	TagCallbackNum              uint16 = 0x0381
	TagDPFResult                uint16 = 0x0420
	TagSetDPF                   uint16 = 0x0421
	TagMSAvailabilityStatus     uint16 = 0x0422
	TagNetworkErrorCode         uint16 = 0x0423
	TagMessagePayload           uint16 = 0x0424
	TagDeliveryFailureReason    uint16 = 0x0425
	TagMoreMessagesToSend       uint16 = 0x0426
	TagMessageState             uint16 = 0x0427
	TagCongestionState          uint16 = 0x0428 // SMPP 5.0 §4.8.4.18, sent by many 3.4 peers too
)

// tlvLengths holds the least and the greatest length of values that the
// standard fixes, in octets. Others may have any up to 65535.
var tlvLengths = map[uint16][2]int{
	TagSourceTelematicsID:       {1, 1},
	TagQoSTimeToLive:            {4, 4},
	TagPayloadType:              {1, 1},
	TagAdditionalStatusInfoText: {1, 256},
	TagReceiptedMessageID:       {1, 65},
	TagPrivacyIndicator:         {1, 1},
	TagSourceSubaddress:         {2, 23},
	TagDestSubaddress:           {2, 23},
	TagUserMessageReference:     {2, 2},
	TagUserResponseCode:         {1, 1},
	TagSourcePort:               {2, 2},
	TagDestinationPort:          {2, 2},
	TagSARMsgRefNum:             {2, 2},
	TagLanguageIndicator:        {1, 1},
	TagSARTotalSegments:         {1, 1},
	TagSARSegmentSeqnum:         {1, 1},
	TagSCInterfaceVersion:       {1, 1},
	TagCallbackNum:              {4, 19},
	TagDPFResult:                {1, 1},
	TagSetDPF:                   {1, 1},
	TagMSAvailabilityStatus:     {1, 1},
	TagNetworkErrorCode:         {3, 3},
	TagDeliveryFailureReason:    {1, 1},
	TagMoreMessagesToSend:       {1, 1},
	TagMessageState:             {1, 1},
	TagCongestionState:          {1, 1},
}

// OctetTLV returns a TLV that holds one octet.
func OctetTLV(tag uint16, v byte) TLV { return TLV{Tag: tag, Value: []byte{v}} }

// ShortTLV returns a TLV that holds an integer of two octets.
func ShortTLV(tag uint16, v uint16) TLV {
	return TLV{Tag: tag, Value: binary.BigEndian.AppendUint16(nil, v)}
}

// Lookup returns the value of the first TLV with that tag.
func Lookup(tlvs []TLV, tag uint16) ([]byte, bool) {
	for _, t := range tlvs {
		if t.Tag == tag {
			return t.Value, true
		}
	}
	return nil, false
}

// CString returns the C-octet string in a TLV, without its NUL and the octets after it.
// The NUL may be missing.
func CString(v []byte) string {
	if i := bytes.IndexByte(v, 0); i >= 0 {
		v = v[:i]
	}
	return string(v)
}

func appendTLVs(dst []byte, tlvs []TLV) []byte {
	for _, t := range tlvs {
		dst = binary.BigEndian.AppendUint16(dst, t.Tag)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.Value)))
		dst = append(dst, t.Value...)
	}
	return dst
}

// parseTLVs reads the optional part. One to three octets at its end are no TLV and are
// ignored, since many peers pad with NUL. ok is false where a
// length runs past the end.
func parseTLVs(b []byte) (tlvs []TLV, ok bool) {
	for len(b) >= 4 {
		tag, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return tlvs, false
		}
		tlvs = append(tlvs, TLV{Tag: tag, Value: b[:n:n]})
		b = b[n:]
	}
	return tlvs, true
}
