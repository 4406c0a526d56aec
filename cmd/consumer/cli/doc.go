// Package cli is what the commands of the program share: the world a command
// runs in, exit codes, the flags that name a server and an operator, progress,
// and how a payment's story is printed. It knows no command.
package cli
