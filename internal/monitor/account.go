package monitor

import (
	"context"
	"net/url"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Account is what one server holds of an account: its streams with their consumers. A
// client sees only what it may ask for; the server shows all here.
type Account struct {
	Name    string   `json:"name"`
	Streams []Stream `json:"stream_detail"`
}

// Stream is one stream of an account.
type Stream struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Config  struct {
		Subjects []string `json:"subjects"`
		// Republish is where each message is published once more; nil: nowhere.
		Republish *struct {
			Destination string `json:"dest"`
		} `json:"republish"`
	} `json:"config"`
	Consumers []Consumer `json:"consumer_detail"`
}

// Consumer is one consumer of a stream.
type Consumer struct {
	Name   string                   `json:"name"`
	Config jetstream.ConsumerConfig `json:"config"`
	// Paused: it delivers nothing for PauseRemaining.
	Paused         bool          `json:"paused"`
	PauseRemaining time.Duration `json:"pause_remaining"`
}

// Accounts reads what the one server at address holds of every account.
func Accounts(ctx context.Context, address string) ([]Account, error) {
	var page struct {
		ID       string    `json:"server_id"`
		Accounts []Account `json:"account_details"`
	}
	if err := ask(ctx, address, "/jsz?accounts=true&streams=true&consumers=true&config=true", &page); err != nil {
		return nil, err
	}
	if page.ID == "" {
		return nil, errNoServer
	}
	return page.Accounts, nil
}

// Connection is one client that is connected to a server.
type Connection struct {
	ID      uint64 `json:"cid"`
	Name    string `json:"name"`
	IP      string `json:"ip"`
	Account string `json:"account"`
	// User is the name it has logged in with, or the public half of its key; empty where
	// the server authenticates nobody.
	User string `json:"authorized_user"`
}

// Connections reads who is connected to the one server at address, and that server's id.
func Connections(ctx context.Context, address string) (server string, all []Connection, err error) {
	var page struct {
		ID          string       `json:"server_id"`
		Connections []Connection `json:"connections"`
	}
	if err := ask(ctx, address, "/connz?auth=true&limit=4096", &page); err != nil {
		return "", nil, err
	}
	if page.ID == "" {
		return "", nil, errNoServer
	}
	return page.ID, page.Connections, nil
}

// Export is what an account offers to other accounts.
type Export struct {
	Subject string `json:"subject"`
	// Type is "service" or "stream".
	Type string `json:"type"`
	// Accounts are those that it is offered to. Without any, and without Token, it is
	// offered to all.
	Accounts []string `json:"approved_accounts"`
	Token    bool     `json:"token_req"`
}

// Import is what an account takes from another account.
type Import struct {
	// Local is the subject in the importing account; $n stands for a part of Subject.
	Local string `json:"local_subject"`
	// Subject is the subject in Account.
	Subject string `json:"subject"`
	Account string `json:"account"`
	// Type is "service" or "stream".
	Type string `json:"type"`
}

// Mapped is where a mapping sends messages of a subject.
type Mapped struct {
	Subject string `json:"subject"`
}

// Border is what crosses the border of an account, and what changes its subjects inside.
// None of it is asked for a user's permissions on the subject where messages arrive.
type Border struct {
	Exports []Export `json:"exports"`
	Imports []Import `json:"imports"`
	// Mappings are by the subject that is published to.
	Mappings map[string][]Mapped `json:"mappings"`
	// System is the name of the server's own account.
	System string `json:"-"`
}

// BorderOf reads the border of an account.
func BorderOf(ctx context.Context, address, account string) (Border, error) {
	var page struct {
		ID     string `json:"server_id"`
		System string `json:"system_account"`
		Detail Border `json:"account_detail"`
	}
	if err := ask(ctx, address, "/accountz?acc="+url.QueryEscape(account), &page); err != nil {
		return Border{}, err
	}
	if page.ID == "" {
		return Border{}, errNoServer
	}
	b := page.Detail
	b.System = page.System
	for i, in := range b.Imports {
		if in.Local == "" {
			b.Imports[i].Local = in.Subject
		}
	}
	return b, nil
}
