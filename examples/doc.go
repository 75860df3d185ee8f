// Package examples holds clients of straks for those who write their own, in six
// languages, and the test that runs them against a sandbox over a bad network.
// docs/clients.md explains them.
//
//	curl/ go/ python/ typescript/ java/ csharp/
//
// Each is one file with four functions: send, which repeats an order with the same
// idempotencyId until there is an answer; follow, which reads the feed from a kept cursor;
// start, which sends a verification code, and check, which checks what a person typed.
// csharp is not run by the test: there is no .NET in Debian.
//
// A receiver of webhooks stands beside it in Go, Java, Python and TypeScript; docs/webhooks.md explains it.
//
//	generated/oapi-codegen generated/ogen generated/openapi-typescript
//
// Each of these has a client that is generated from the OpenAPI document, and a program that uses it.
// They are modules of their own, with their generator in go.mod or package.json. Another test generates,
// compiles and runs them.
package examples
