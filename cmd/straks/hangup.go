package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// outliveHangup keeps SIGHUP from ending the daemon, until the function that it
// returns is called. By custom the signal asks for the configuration to be read
// again, which takes a restart here.
func outliveHangup(log *slog.Logger) (stop func()) {
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for range hangups {
			log.Warn("SIGHUP is ignored: the configuration is read at the start only, restart to have it read again")
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-ended
	}
}
