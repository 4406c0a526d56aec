package monitor

import (
	"cmp"
	"context"
)

// Copy is what one server holds of a stream. JetStream's API answers for the
// leader only; the other copies are seen here alone.
type Copy struct {
	Stream string
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
	all, err := CopiesOf(ctx, address, stream)
	if len(all) == 0 {
		return Copy{}, false, err
	}
	return all[0], true, nil
}

// CopiesOf reads what the one server at address holds of a stream, and of others in the
// same account, by one answer; what it does not hold is left out. Of several accounts that
// one counts in which the first stream is the longest.
func CopiesOf(ctx context.Context, address, first string, others ...string) ([]Copy, error) {
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
		return nil, err
	}
	if err := ask(ctx, address, "/jsz?accounts=true&streams=true", &page); err != nil {
		return nil, err
	}
	if page.ID != server.ID {
		return nil, errNoServer
	}
	var out []Copy
	for _, account := range page.Accounts {
		held := map[string]Copy{}
		for _, s := range account.Streams {
			held[s.Name] = Copy{
				Stream: s.Name, Server: cmp.Or(server.Name, server.ID), Leads: s.Cluster.Leader == server.Name,
				First: s.State.First, Last: s.State.Last, Messages: s.State.Messages,
			}
		}
		if c, found := held[first]; !found || len(out) > 0 && c.Last <= out[0].Last {
			continue
		}
		out = out[:0]
		for _, name := range append([]string{first}, others...) {
			if c, found := held[name]; found {
				out = append(out, c)
			}
		}
	}
	return out, nil
}
