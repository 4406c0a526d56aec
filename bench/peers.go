//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countermand/countermand/internal/program"
)

// postgresFolders are where distributions keep initdb and postgres.
const postgresFolders = "/usr/lib/postgresql/*/bin"

// prepareRiver starts a PostgreSQL of its own; more are flags of the program.
func prepareRiver(ctx context.Context, f *field, more ...string) (*program.Program, error) {
	address, err := f.startPostgres(ctx)
	if err != nil {
		return nil, err
	}
	f.ask = func(ctx context.Context) (float64, error) { return rowsWritten(ctx, address) }
	return f.own(f.bin.river, append(more, "--database", address+"&pool_max_conns=20")...), nil
}

// startPostgres makes an empty database and returns its address.
func (f *field) startPostgres(ctx context.Context) (string, error) {
	bin, err := postgresFolder()
	if err != nil {
		return "", err
	}
	free, err := f.ports.Free(1)
	if err != nil {
		return "", err
	}
	port, home := free[0], filepath.Join(f.dir, "postgres")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	as, err := unprivileged()
	if err != nil {
		return "", err
	}
	if as != nil {
		if err := os.Chown(home, int(as.Uid), int(as.Gid)); err != nil {
			return "", fmt.Errorf("hand over directory: %w", err)
		}
	}
	data := filepath.Join(home, "data")
	setup := &program.Program{
		Name: "initdb", Path: filepath.Join(bin, "initdb"), Dir: f.dir, User: as,
		Args: []string{"--pgdata", data, "--username", "bench", "--auth", "trust", "--encoding", "UTF8", "--locale", "C"},
	}
	if err := setup.Run(); err != nil {
		return "", err
	}
	commit := "on"
	if f.opts.sync == "lazy" {
		commit = "off"
	}
	database := &program.Program{
		Name: "postgres", Path: filepath.Join(bin, "postgres"), Dir: f.dir, User: as,
		Args: []string{"-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-k", home, "-c", "synchronous_commit=" + commit, "-c", "shared_buffers=256MB"},
	}
	if err := database.Start(); err != nil {
		return "", err
	}
	f.helpers = append(f.helpers, database)
	address := fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres?sslmode=disable", port)
	ready := func() bool {
		c, err := pgx.Connect(ctx, address)
		if err != nil {
			return false
		}
		_ = c.Close(ctx) // it answered
		return true
	}
	if err := await(ctx, database, ready); err != nil {
		return "", err
	}
	return address, nil
}

func postgresFolder() (string, error) {
	found, _ := filepath.Glob(postgresFolders) // the pattern is a constant
	if len(found) == 0 {
		return "", notBuiltError{"no PostgreSQL under " + postgresFolders + " (Debian: apt-get install postgresql)"}
	}
	return found[len(found)-1], nil
}

// unprivileged is whom PostgreSQL runs as, since it refuses to run as root; nil: us.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, notBuiltError{"PostgreSQL does not run as root, and there is no user postgres"}
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("look up user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// flushedFor is how long PostgreSQL's backends keep to themselves what they have
// counted, when they are idle.
const flushedFor = 11 * time.Second

// rowsWritten is how many versions of jobs PostgreSQL has written, once all its
// backends have said so.
func rowsWritten(ctx context.Context, address string) (float64, error) {
	select {
	case <-time.After(flushedFor):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, fmt.Errorf("ask database: %w", err)
	}
	defer func() { _ = c.Close(ctx) }() // what was asked is known
	var n float64
	err = c.QueryRow(ctx, `select coalesce(sum(n_tup_ins + n_tup_upd), 0)::float8 from pg_stat_user_tables where relname = 'river_job'`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	return n, nil
}

// riverRecords are row versions of jobs and results.
func riverRecords(ctx context.Context, f *field) (float64, error) { return asked(ctx, f) }

func asked(ctx context.Context, f *field) (float64, error) {
	n, err := f.ask(ctx)
	if err != nil {
		return 0, err
	}
	results, err := resultRecords(ctx, f)
	return n + results, err
}

// The server's npm package, installed for the run.
const (
	restatePackage = "@restatedev/restate-server"
	restateVersion = "1.7.12"
)

// prepareRestate installs and starts a Restate server of its own.
func prepareRestate(ctx context.Context, f *field) (*program.Program, error) {
	binary, err := restateServer(ctx, f.bin.dir)
	if err != nil {
		return nil, err
	}
	given, err := f.ports.Free(4)
	if err != nil {
		return nil, err
	}
	fsync := "false"
	if f.opts.sync == "lazy" {
		fsync = "true"
	}
	entrance, admin := "http://"+program.Local(given[1]), "http://"+program.Local(given[2])
	s := &program.Program{
		Name: "restate-server", Path: binary, Dir: f.dir,
		Args: []string{"--no-logo", "--base-dir", filepath.Join(f.dir, "restate")},
		Env: []string{
			"DO_NOT_TRACK=1", "RESTATE_NODE_NAME=bench", "RESTATE_BIND_ADDRESS=" + program.Local(given[0]), "RESTATE_ADVERTISED_ADDRESS=http://" + program.Local(given[0]),
			"RESTATE_INGRESS__BIND_ADDRESS=" + program.Local(given[1]), "RESTATE_ADMIN__BIND_ADDRESS=" + program.Local(given[2]),
			"RESTATE_LISTEN_MODE=tcp", "RESTATE_BIFROST__LOCAL__ROCKSDB_DISABLE_WAL_FSYNC=" + fsync, "RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC=" + fsync,
			"RESTATE_LOG_FILTER=warn",
		},
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	f.helpers = append(f.helpers, s)
	for _, url := range []string{admin + "/health", entrance + "/restate/health"} {
		if err := answers(ctx, s, url); err != nil {
			return nil, err
		}
	}
	f.ask = func(ctx context.Context) (float64, error) { return journalEntries(ctx, admin) }
	return f.own(f.bin.restate, "--listen", program.Local(given[3]), "--ingress", entrance, "--admin", admin), nil
}

// restateServer returns the server's binary, from the npm package in dir.
func restateServer(ctx context.Context, dir string) (string, error) {
	pattern := filepath.Join(dir, "node_modules", "@restatedev", "restate-server-*", "bin", "restate-server")
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[0], nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", notBuiltError{"no npm, from which its server comes"}
	}
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", restatePackage+"@"+restateVersion)
	if out, err := install.CombinedOutput(); err != nil {
		return "", notBuiltError{fmt.Sprintf("npm install %s: %v: %s", restatePackage, err, bytes.TrimSpace(out[max(0, len(out)-300):]))}
	}
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[0], nil
	}
	return "", notBuiltError{"its npm package has no server for this machine"}
}

func restateRecords(ctx context.Context, f *field) (float64, error) { return asked(ctx, f) }

// journalEntries is how many entries the server's journals hold.
func journalEntries(ctx context.Context, admin string) (float64, error) {
	question := []byte(`{"query":"select count(1) as n from sys_journal"}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, admin+"/query", bytes.NewReader(question))
	if err != nil {
		return 0, fmt.Errorf("count journal entries: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return 0, fmt.Errorf("count journal entries: %w", err)
	}
	defer answer.Body.Close()
	var rows struct {
		Rows []struct {
			N float64 `json:"n"`
		} `json:"rows"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&rows); err != nil || len(rows.Rows) != 1 {
		return 0, fmt.Errorf("count journal entries: %s with %d rows: %w", answer.Status, len(rows.Rows), err)
	}
	return rows.Rows[0].N, nil
}
