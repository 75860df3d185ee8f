// Package tlsfault says why a TLS handshake failed, in words of ours and of crypto/tls. The names
// in a certificate are the peer's words: crypto/x509 quotes them, so its errors are not for logs.
package tlsfault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
)

// Plain returns the error of a handshake without anything that the peer wrote. An error of the
// network, a time-out, a lost connection or the end of a context comes back as it is.
func Plain(err error) error {
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
		network   net.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &name):
		return errors.New("the certificate is not valid for the name " + name.Host)
	case errors.As(err, &authority):
		return errors.New("the certificate is signed by an authority that is not trusted")
	case errors.As(err, &invalid):
		return errors.New(reason(invalid.Reason))
	case errors.As(err, &verify):
		return errors.New("the certificate can't be verified")
	case errors.As(err, &record):
		return errors.New("the peer does not speak TLS")
	case errors.As(err, &network), errors.Is(err, context.Canceled), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return errors.New(fixed(err))
}

// reason returns why a certificate is not valid.
func reason(r x509.InvalidReason) string {
	switch r {
	case x509.Expired:
		return "the certificate has expired or is not valid yet"
	case x509.NotAuthorizedToSign:
		return "the certificate is signed by one that may not sign others"
	case x509.IncompatibleUsage:
		return "the certificate is not for servers"
	case x509.TooManyIntermediates:
		return "the certificate's chain is too long"
	}
	return "the certificate is not valid"
}

// fixed returns the text of an error of crypto/tls up to the quoted cause: "remote error: tls:
// handshake failure", "tls: failed to parse certificate from server". Other errors are the
// standard library's own, of io and context, unless they quote something.
func fixed(err error) string {
	text := err.Error()
	rest, tlsError := text, false
	for _, prefix := range []string{"remote error: ", "local error: ", "tls: "} {
		if after, ok := strings.CutPrefix(rest, prefix); ok {
			rest, tlsError = after, true
		}
	}
	cause, _, quoted := strings.Cut(rest, ": ")
	switch {
	case strings.Contains(cause, `"`), strings.Contains(rest, "x509") && !tlsError:
		return "the handshake failed"
	case quoted && tlsError:
		return strings.TrimSuffix(text, rest) + cause
	}
	return text
}
