package main

import (
	"log/slog"
	"net/http"
	"time"

	"straks/orders/bolt"
)

// backupPatience is how long who fetches a backup may take nothing of it. While
// it is read, no page that is freed can be used again, and a journal that has
// failed waits for the write under way before it is opened anew: nobody is to hold
// that up by falling asleep.
const backupPatience = 30 * time.Second

// backupHandler serves a consistent copy of the journal in use, for "straks
// journal backup". An answer that can't be completed is cut off, so that nobody takes
// it for whole.
func backupHandler(j *bolt.Journal, log *slog.Logger, patience time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if err := j.Backup(r.Context(), impatient{w, patience}); err != nil {
			log.Error("backup broke off", "err", err)
			panic(http.ErrAbortHandler) // how net/http is told to cut the connection
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the connection may be used again
		log.Info("backup taken")
	}
}

// impatient fails a write that its reader does not take for so long.
type impatient struct {
	http.ResponseWriter
	patience time.Duration
}

func (w impatient) Write(b []byte) (int, error) {
	// Where there is no deadline to set there is no connection either, but a test.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.patience))
	return w.ResponseWriter.Write(b)
}
