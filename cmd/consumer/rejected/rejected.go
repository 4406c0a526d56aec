// Package rejected is the command "consumer rejected": messages that were no
// valid commands are listed, shown, replayed and deleted by the desk of the running
// service.
package rejected

import (
	"errors"
	"strings"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Command is "consumer rejected".
type Command struct {
	List   listCommand   `cmd:"" help:"List messages that were no valid commands, in the order of the answers."`
	Show   showCommand   `cmd:"" help:"Show one message with its faults; shows its bytes only with --reveal."`
	Replay replayCommand `cmd:"" help:"Publish one message again; without --apply it only says what it would do."`
	Delete deleteCommand `cmd:"" help:"Delete the bytes of one message; without --apply it only says what it would do."`
}

// Help is the long help text.
func (Command) Help() string {
	return `Countermand answers a message that is no valid command with payment.command.rejected. The answer lists the faults
and repeats nothing of the message. The bytes are kept in quarantine for 90 days, for operators only. These commands
ask the running service.

Example: consumer rejected list --since 24h`
}

// tokenOf is the token that names a rejection, typed alone or as its whole subject.
func tokenOf(text string) (string, error) {
	token := strings.TrimPrefix(text, events.RejectedSubject(""))
	if !events.ValidRejectionToken(token) {
		return "", cli.Usage(errors.New("a rejection is named by the last part of payment.command.rejected.<token>, such as 17-0123456789ab; what a guard has rejected (payment.<operation>.rejected) has ended: see consumer show"))
	}
	return token, nil
}

func faultLine(f payment.Fault) string {
	s := strings.TrimSpace(f.Pointer + " " + f.Rule)
	if f.Detail != "" {
		s += " (" + f.Detail + ")"
	}
	return s
}
