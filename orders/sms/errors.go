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
	codes map[string]map[string]bool // by SMSC of the configuration
}

func newErrorCounter(smscs map[string]SMSC) *errorCounter {
	c := &errorCounter{codes: make(map[string]map[string]bool), vec: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "straks_receipt_errors_total", Help: "Receipts with an error code, by the code and by what the SMSC's errors say that it means."},
		[]string{"smsc", "code", "cause"})}
	c.configure(smscs)
	return c
}

// configure counts for these SMSCs from now on. One that is gone may still deliver: it is "other", and its series are removed.
func (c *errorCounter) configure(smscs map[string]SMSC) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for smsc := range c.codes {
		if _, ok := smscs[smsc]; !ok {
			c.vec.DeletePartialMatch(prometheus.Labels{"smsc": smsc})
			delete(c.codes, smsc)
		}
	}
	for smsc := range smscs {
		if c.codes[smsc] == nil {
			c.codes[smsc] = make(map[string]bool)
		}
		c.vec.WithLabelValues(smsc, "other", dlr.CauseNone.String())
	}
}

// count counts the code of a receipt. A code of zeros says that there was no error.
func (c *errorCounter) count(smsc, code string, cause dlr.Cause) {
	if strings.Trim(code, "0") == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.codes[smsc] == nil {
		smsc, code = "other", ""
	}
	c.vec.WithLabelValues(smsc, c.label(smsc, code), cause.String()).Inc()
}

// label returns the code, or "other". With mu locked.
func (c *errorCounter) label(smsc, code string) string {
	odd := func(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }
	if code == "" || len(code) > maxErrorCode || strings.ContainsFunc(code, odd) {
		return "other"
	}
	known := c.codes[smsc]
	if !known[code] && len(known) == maxErrorCodes {
		return "other"
	}
	known[code] = true
	return code
}
