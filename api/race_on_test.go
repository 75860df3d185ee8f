//go:build race

package api

// raceDetector reports whether the race detector is built in. It makes every goroutine and its stack larger.
const raceDetector = true
