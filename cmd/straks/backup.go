package main

import (
	"log/slog"
	"net/http"

	"straks/orders/bolt"
)

// backupHandler serves a consistent copy of the journal in use, for "straks
// journal backup". An answer that can't be completed is cut off, so that nobody takes
// it for whole.
func backupHandler(j *bolt.Journal, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if err := j.Backup(r.Context(), w); err != nil {
			log.Error("backup broke off", "err", err)
			panic(http.ErrAbortHandler) // how net/http is told to cut the connection
		}
		log.Info("backup taken")
	}
}
