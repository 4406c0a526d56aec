// Package rejected is the command "consumer rejected": messages that were no
// valid commands are listed, shown and replayed. The journal and the quarantine
// are read directly; what needs an audit is left to the desk of the running service.
package rejected

import (
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Command is "consumer rejected".
type Command struct {
	List   listCommand   `cmd:"" help:"List messages that were no valid commands, in the order of the answers."`
	Show   showCommand   `cmd:"" help:"Show one message with its faults; shows its bytes only with --reveal."`
	Replay replayCommand `cmd:"" help:"Publish one message again; without --apply it only says what it would do."`
}

// Help is the long help text.
func (Command) Help() string {
	return `Countermand answers a message that is no valid command with payment.command.rejected. The answer lists the faults
and repeats nothing of the message. The bytes are kept in quarantine for 90 days, for operators only.

Example: consumer rejected list --since 24h`
}

// rejection is a rejection as machines get it.
type rejection struct {
	Token          string          `json:"token"`
	At             time.Time       `json:"at"`
	Code           payment.Code    `json:"code"`
	Provider       string          `json:"provider,omitempty"` // where the subject names it
	Faults         []payment.Fault `json:"faults"`
	Size           int             `json:"size"`
	SHA256         string          `json:"sha256"`
	OriginSequence uint64          `json:"originSequence"`
	OriginSubject  string          `json:"originSubject,omitempty"`
	CommandID      string          `json:"commandId,omitempty"`
}

// decode reads a rejection from the journal.
func decode(m events.Message) (rejection, error) {
	r, at, err := events.DecodeRejection(m)
	if err != nil {
		return rejection{}, err
	}
	return rejection{
		Token: r.Token, At: at, Code: r.Code, Provider: events.CommandProvider(r.OriginSubject), Faults: r.Faults, Size: r.Size, SHA256: r.SHA256,
		OriginSequence: r.OriginSequence, OriginSubject: r.OriginSubject, CommandID: r.CommandID,
	}, nil
}

func faultLine(f payment.Fault) string {
	s := strings.TrimSpace(f.Pointer + " " + f.Rule)
	if f.Detail != "" {
		s += " (" + f.Detail + ")"
	}
	return s
}
