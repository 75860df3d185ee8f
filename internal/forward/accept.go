package forward

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"straks/internal/pemfile"
	"straks/internal/ratelog"
)

// Accept returns the handler of requests that other nodes forward: next, with the caller in the request's context. Its
// server must have the TLS settings of ServerTLS. Only orders are forwarded, which are POST requests.
func Accept(next http.Handler, log *slog.Logger) http.Handler {
	refused := ratelog.New(log, 3)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := readCaller(r.Header)
		switch {
		case r.TLS == nil || len(r.TLS.VerifiedChains) == 0: // a fault of the wiring
			err = errors.New("no certificate was asked for")
		case err == nil && r.Method != http.MethodPost:
			err = errors.New("only POST requests are forwarded")
		}
		if err != nil {
			refused.Write("refused", slog.LevelWarn, "a node's request is not one that nodes forward: do all run the same version?",
				slog.String("remote", r.RemoteAddr), slog.Any("err", err))
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Header.Del(header)
		r.RemoteAddr = caller.Address
		next.ServeHTTP(w, r.WithContext(withCaller(r.Context(), caller)))
	})
}

// ServerTLS returns the settings of the peers' listener. A connection needs a certificate of the cluster's authority.
func ServerTLS(files *pemfile.Files) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			authorities, own := files.Current()
			return &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: own, NextProtos: []string{"http/1.1"},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities, VerifyConnection: ofNode,
			}, nil
		},
	}
}

var errNoNode = errors.New("the certificate is not one of a node: it must be for servers and for clients (extended key usage)")

// ofNode refuses certificates that are for clients only, which the authority may have given to others.
func ofNode(state tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return errNoNode
	}
	return nil
}
