package sms

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr"
)

const (
	// maxErrorCodes bounds the codes of an SMSC that have a series of their own. Others are counted as "other".
	maxErrorCodes = 50
	// maxErrorCode bounds a code, in octets. Codes of networks have five digits at most (network_error_code, SMPP
	// 3.4 §5.3.2.31); a longer word may be anything, a login code too.
	maxErrorCode = 5
)

// errorCounter counts the error codes of receipts.
type errorCounter struct {
	vec *prometheus.CounterVec

	mu    sync.Mutex
	codes map[string]map[string]bool // by SMSC
}

func newErrorCounter(smscs map[string]SMSC) *errorCounter {
	c := &errorCounter{codes: make(map[string]map[string]bool), vec: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "straks_receipt_errors_total", Help: "Receipts with an error code, by the code and by what the SMSC's errors say that it means."},
		[]string{"smsc", "code", "cause"})}
	for smsc := range smscs {
		c.vec.WithLabelValues(smsc, "other", dlr.CauseNone.String())
	}
	return c
}

// count counts the code of a receipt. A code of zeros says that there was no error.
func (c *errorCounter) count(smsc, code string, cause dlr.Cause) {
	if strings.Trim(code, "0") == "" {
		return
	}
	c.vec.WithLabelValues(smsc, c.label(smsc, code), cause.String()).Inc()
}

// label returns the code, or "other".
func (c *errorCounter) label(smsc, code string) string {
	odd := func(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }
	if len(code) > maxErrorCode || strings.ContainsFunc(code, odd) {
		return "other"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.codes[smsc]
	if known == nil {
		known = make(map[string]bool)
		c.codes[smsc] = known
	}
	if !known[code] && len(known) == maxErrorCodes {
		return "other"
	}
	known[code] = true
	return code
}
