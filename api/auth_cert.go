package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"straks/internal/clientcert"
)

// ErrInvalidCertificate: the client has shown a certificate that stands for nobody now.
var ErrInvalidCertificate = errors.New("invalid client certificate")

// errTwo is the error of a caller whose token and certificate do not go together.
var errTwo = fmt.Errorf("%w: it is of another organisation than the token", ErrInvalidCertificate)

// shown returns for whom the certificate stands that the client has shown in the handshake, and nobody where it has
// shown none. Headers in which proxies pass certificates on are not read: any caller can write them.
func shown(r *http.Request, certs *clientcert.Verifier) (Principal, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || !certs.Asks() {
		return Principal{}, nil
	}
	id, err := certs.Identify(r.TLS.PeerCertificates)
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrInvalidCertificate, err)
	}
	return Principal{Organisation: id.Organisation, Certificate: id.Name, Fingerprint: id.Fingerprint, Scopes: id.Scopes}, nil
}

// with returns the caller that has a token and the certificate. The token says what it may do.
func (who Principal) with(certificate Principal) (Principal, error) {
	if certificate.Certificate == "" {
		return who, nil
	}
	if who.Organisation != certificate.Organisation {
		return Principal{Token: who.Token, Certificate: certificate.Certificate}, errTwo
	}
	who.Certificate, who.Fingerprint = certificate.Certificate, certificate.Fingerprint
	return who, nil
}

// credential names what says what the caller may do.
func (who Principal) credential() string {
	if who.Token == "" && who.Certificate != "" {
		return "client certificate"
	}
	return "token"
}

// credentialAttrs are the log attributes of what the caller has shown.
func (who Principal) credentialAttrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("organisation", who.Organisation)}
	if who.Token != "" || who.Certificate == "" {
		attrs = append(attrs, slog.String("token", who.Token))
	}
	if who.Certificate != "" {
		attrs = append(attrs, slog.String("certificate", who.Certificate))
	}
	return attrs
}

// refusalKind tells apart the refusals of certificates in the log: those of our authorities, each for its reason, are not
// hidden by certificates that anybody can make.
func refusalKind(err error) string {
	if errors.Is(err, clientcert.ErrStranger) {
		return "certificate"
	}
	return "certificate: " + err.Error()
}
