package monitor

import "context"

// Copy is what one server holds of a stream. JetStream's API answers for the
// leader only; the other copies are seen here alone.
type Copy struct {
	// Server is the server's name or, where it tells none, its id.
	Server string
	// Leads: this server leads the stream.
	Leads                 bool
	First, Last, Messages uint64
}

// CopyOf reads what the one server at address holds of a stream; found is false
// where it holds none. Where several accounts have a stream of that name, the
// longest one counts.
func CopyOf(ctx context.Context, address, stream string) (c Copy, found bool, err error) {
	var page struct {
		ID       string `json:"server_id"`
		Accounts []struct {
			Streams []struct {
				Name    string `json:"name"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
				State struct {
					Messages uint64 `json:"messages"`
					First    uint64 `json:"first_seq"`
					Last     uint64 `json:"last_seq"`
				} `json:"state"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	server, err := Ask(ctx, address)
	if err != nil {
		return Copy{}, false, err
	}
	if err := ask(ctx, address, "/jsz?accounts=true&streams=true", &page); err != nil {
		return Copy{}, false, err
	}
	if page.ID != server.ID {
		return Copy{}, false, errNoServer
	}
	c.Server = server.Name
	if c.Server == "" {
		c.Server = server.ID
	}
	for _, account := range page.Accounts {
		for _, s := range account.Streams {
			if s.Name != stream || found && s.State.Last <= c.Last {
				continue
			}
			found = true
			c.Leads = s.Cluster.Leader == server.Name
			c.First, c.Last, c.Messages = s.State.First, s.State.Last, s.State.Messages
		}
	}
	return c, found, nil
}
