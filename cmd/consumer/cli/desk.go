package cli

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/config"
)

// Desk is how a command reaches the desk of the running service, and as whom.
type Desk struct {
	Server

	Operator string `help:"Your name. Only where the setting desk.selfAsserted allows it; the default there is the name of the user." placeholder:"NAME"`
}

// DeskFor bounds one question to the desk: a retry waits for the provider.
const DeskFor = time.Minute

// OpenDesk connects, and returns the desk and what closes the connection. Answers come
// to an inbox under the operator's own name, which nobody else may listen to.
func (d Desk) OpenDesk(w *World) (*remote.Client, func(), error) {
	cfg, err := d.load(w, config.LoadNotCalling)
	if err != nil {
		return nil, nil, err
	}
	name, err := d.Name(w, cfg)
	if err != nil {
		return nil, nil, Usage(err)
	}
	c, err := connect(cfg, nats.CustomInboxPrefix("_INBOX_"+events.Token(name)))
	if err != nil {
		return nil, nil, err
	}
	return remote.NewClient(c.Conn, name), c.Close, nil
}

// Client returns the desk at the other end of a connection, as the operator has it.
func (d Desk) Client(w *World, c *Connection) (*remote.Client, error) {
	name, err := d.Name(w, c.Config)
	if err != nil {
		return nil, Usage(err)
	}
	return remote.NewClient(c.Conn, name), nil
}

// Decider is who makes a decision that the command itself records, and how the
// name is known: only the desk's subjects prove a name.
func (d Desk) Decider(w *World, cfg *config.Config) (name, identity string, err error) {
	name, err = d.Name(w, cfg)
	return name, string(desk.IdentityAsserted), err
}

// Name is who asks. With credentials the server grants a user one name, and
// a name that was typed could only be wrong.
func (d Desk) Name(w *World, cfg *config.Config) (string, error) {
	if d.Config == "" || cfg.Desk.SelfAsserted {
		if name := cmp.Or(d.Operator, cfg.Desk.Operator, w.Getenv("USER")); name != "" {
			return name, nil
		}
		return "", errors.New("say who you are: --operator NAME")
	}
	if d.Operator != "" {
		return "", errors.New("--operator needs the setting desk.selfAsserted: else your name is that of your credentials")
	}
	if name := cmp.Or(cfg.Desk.Operator, nameIn(cfg.NATS)); name != "" {
		return name, nil
	}
	return "", errors.New("your credentials name nobody: set desk.operator to the name the server grants you")
}

// nameIn is the user's name in credentials, if they are a user's token.
func nameIn(n config.NATS) string {
	token, err := jwt.ParseDecoratedJWT([]byte(n.Credentials.Reveal()))
	if err != nil {
		return ""
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return ""
	}
	return user.Name
}

// ControlError is DeskError for what operators ask of the service itself: where
// nobody answers, it names the way out.
func ControlError(w *World, err error) error {
	if errors.Is(err, remote.ErrNobody) {
		return fmt.Errorf("%w Nothing was done. Whether a service runs, its /readyz tells. If it runs, it goes on calling providers: mend the import, or to stop calls at once, scale it to zero. If none runs, nothing is called: start it with startPaused (docs/pausing.md)", err)
	}
	return DeskError(w, err)
}

// JournalError is DeskError for decisions about the journal: where nobody answers, it
// names the way out.
func JournalError(w *World, err error) error {
	switch {
	case errors.Is(err, remote.ErrNobody):
		return fmt.Errorf("%w Nothing was done. Whether a service runs, its /readyz tells: if it runs, mend the import. If none runs, start it, one replica is enough: where the journal has lost something, it starts with its gate shut, sends nothing, and answers (docs/journal-loss.md)", err)
	case errors.Is(err, remote.ErrOlder):
		return fmt.Errorf("%w: nothing was done; finish the upgrade first", err)
	default:
		return DeskError(w, err)
	}
}

// DeskError gives a refusal of the desk its exit code, and shows the payment as
// it is now where the desk has sent it.
func DeskError(w *World, err error) error {
	refusal, ok := errors.AsType[*desk.Error](err)
	if !ok {
		return err
	}
	if refusal.Now != nil {
		fmt.Fprintln(w.Stderr, "As it is now:")
		TellStory(w.Stderr, refusal.Now)
	}
	switch refusal.Fault {
	case desk.FaultInvalid:
		return Usage(err)
	case desk.FaultNotFound:
		return NotFound(err)
	default:
		return err
	}
}
