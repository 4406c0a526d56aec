//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countermand/countermand/internal/program"
)

// temporalVersion is the server's; later ones want a newer Go.
const temporalVersion = "v1.31.0"

// prepareTemporal starts a Temporal server of its own on a PostgreSQL of its own.
func prepareTemporal(ctx context.Context, f *field) (*program.Program, error) {
	folder, err := temporalFolder(ctx)
	if err != nil {
		return nil, err
	}
	address, err := f.startPostgres(ctx)
	if err != nil {
		return nil, err
	}
	database, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("read address of database: %w", err)
	}
	port := strconv.Itoa(int(database.Port))
	for name, schema := range map[string]string{"temporal": "temporal", "temporal_visibility": "visibility"} {
		common := []string{"--plugin", "postgres12", "--ep", "127.0.0.1", "-p", port, "-u", "bench", "--db", name}
		for _, step := range [][]string{{"create"}, {"setup-schema", "-v", "0.0"}, {"update-schema", "--schema-name", "postgresql/v12/" + schema}} {
			p := &program.Program{Name: "schema", Path: filepath.Join(folder, "sql"), Args: append(append([]string{}, common...), step...), Dir: f.dir}
			if err := p.Run(); err != nil {
				return nil, err
			}
		}
	}
	frontend, file, err := f.configureTemporal(port)
	if err != nil {
		return nil, err
	}
	s := &program.Program{Name: "temporal-server", Path: filepath.Join(folder, "server"), Args: []string{"--config-file", file, "--allow-no-auth", "start"}, Dir: f.dir}
	if err := s.Start(); err != nil {
		return nil, err
	}
	f.helpers = append(f.helpers, s)
	f.ask = func(ctx context.Context) (float64, error) {
		return historyNodes(ctx, strings.Replace(address, "/postgres?", "/temporal?", 1))
	}
	p := f.own(f.bin.temporal, "--server", frontend)
	// The worker is started when the server answers; until then it ends at once.
	ready := func() bool {
		probe := &program.Program{Name: "probe", Path: f.bin.temporal, Args: append(p.Args, "--probe"), Dir: f.dir}
		return probe.Run() == nil
	}
	if err := await(ctx, s, ready); err != nil {
		return nil, err
	}
	return p, nil
}

// temporalFolder has the server and its schema tool, built once and kept in the
// user's cache: it takes ten minutes of two cores.
func temporalFolder(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", notBuiltError{fmt.Sprintf("no folder to keep its server in: %v", err)}
	}
	folder := filepath.Join(cache, "countermand-bench", "temporal-"+temporalVersion)
	if _, err := os.Stat(filepath.Join(folder, "server")); err == nil {
		return folder, nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", "go.temporal.io/server/cmd/tools/sql@"+temporalVersion, "go.temporal.io/server/cmd/server@"+temporalVersion)
	cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "GOBIN="+folder, "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", notBuiltError{fmt.Sprintf("its server: %v: %s", err, out[max(0, len(out)-300):])}
	}
	return folder, nil
}

// configureTemporal writes a configuration as the server's own for development on
// PostgreSQL has it, on free ports; it returns the frontend's address and the file.
func (f *field) configureTemporal(database string) (address, file string, err error) {
	var services strings.Builder
	for _, name := range []string{"frontend", "matching", "history", "worker"} {
		given, err := f.ports.Free(2)
		if err != nil {
			return "", "", err
		}
		if name == "frontend" {
			address = program.Local(given[0])
		}
		fmt.Fprintf(&services, "  %s: {rpc: {grpcPort: %d, membershipPort: %d, bindOnLocalHost: true}}\n", name, given[0], given[1])
	}
	store := func(name string, conns int) string {
		return fmt.Sprintf("{sql: {pluginName: postgres12, databaseName: %s, connectAddr: \"127.0.0.1:%s\", connectProtocol: tcp, user: bench, maxConns: %d, maxIdleConns: %d, maxConnLifetime: 1h}}", name, database, conns, conns)
	}
	text := fmt.Sprintf(`log: {stdout: true, level: warn}
persistence:
  defaultStore: main
  visibilityStore: visibility
  numHistoryShards: 4
  datastores:
    main: %s
    visibility: %s
global: {membership: {maxJoinDuration: 30s, broadcastAddress: "127.0.0.1"}}
services:
%sclusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation: {active: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: %q}}
dcRedirectionPolicy: {policy: noop}
`, store("temporal", 20), store("temporal_visibility", 10), services.String(), address)
	file = filepath.Join(f.dir, "temporal.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", "", fmt.Errorf("write configuration: %w", err)
	}
	return address, file, nil
}

// historyNodes is how many batches of history the server has written.
func historyNodes(ctx context.Context, address string) (float64, error) {
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, fmt.Errorf("ask database: %w", err)
	}
	defer func() { _ = c.Close(ctx) }() // what was asked is known
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var n float64
	if err := c.QueryRow(ctx, `select count(*)::float8 from history_node`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count history: %w", err)
	}
	return n, nil
}
