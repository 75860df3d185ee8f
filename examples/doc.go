// Package examples holds clients of straks for those who write their own, in six
// languages, and the test that runs them against a sandbox over a bad network.
// docs/clients.md explains them.
//
//	curl/ go/ python/ typescript/ java/ csharp/
//
// Each is one file with two functions: send, which repeats an order with the same
// idempotencyId until there is an answer, and follow, which reads the feed from a kept
// cursor. csharp is not run by the test: there is no .NET in Debian.
package examples
