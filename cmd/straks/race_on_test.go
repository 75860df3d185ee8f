//go:build race

package main

// raceDetector reports whether the race detector is built in, also into the daemon that a test runs. It takes memory and
// processor time of its own.
const raceDetector = true
