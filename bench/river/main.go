// Command river does the job with River on PostgreSQL: a bridge takes commands from
// JetStream and inserts jobs, each unique by its arguments, and workers call and
// publish.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/countermand/countermand/bench/job"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "address of the broker")
	provider := flag.String("provider", "http://127.0.0.1:4280", "address of the provider")
	concurrency := flag.Int("concurrency", 256, "commands at a time")
	database := flag.String("database", "", "connection string of PostgreSQL")
	batched := flag.Bool("batched", false, "insert what waits in one statement, rather than each command by itself")
	flag.Parse()
	r := rivers{url: *url, database: *database, concurrency: *concurrency, batched: *batched}
	if err := r.run(job.NewProvider(*provider, *concurrency)); err != nil {
		log.Fatal("river: ", err)
	}
}

// refund is a job's arguments: the command, unique as a whole.
type refund struct {
	Command job.Command `json:"command" river:"unique"`
}

// Kind implements river.JobArgs.
func (refund) Kind() string { return "refund" }

type worker struct {
	river.WorkerDefaults[refund]

	provider *job.Provider
	js       jetstream.JetStream
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, j *river.Job[refund]) error {
	c := j.Args.Command
	moved, err := w.provider.Refund(ctx, c)
	if err != nil {
		return err
	}
	result, err := c.Result(moved)
	if err != nil {
		return err
	}
	_, err = w.js.Publish(ctx, c.Subject(), result)
	return err
}

// rivers is how the job is done.
type rivers struct {
	url, database string
	concurrency   int
	batched       bool
}

func (r rivers) run(provider *job.Provider) error {
	ctx := context.Background()
	nc, err := nats.Connect(r.url, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	pool, err := pgxpool.New(ctx, r.database)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return fmt.Errorf("open migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{provider: provider, js: js})
	client, err := river.NewClient(driver, &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: r.concurrency}},
		Workers: workers,
		// The defaults, 100 ms and 1 s, are made for less haste: a job that comes soon
		// after another is not announced and waits for the next poll.
		FetchCooldown: 5 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
		// A job whose worker was killed is found by its age; the default of an hour
		// would only make the interrupted run wait.
		JobTimeout: 10 * time.Second, RescueStuckJobsAfter: 15 * time.Second,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("start client: %w", err)
	}
	return r.bridge(ctx, js, client)
}

// bridge inserts commands as jobs and acknowledges them when the database has them.
func (r rivers) bridge(ctx context.Context, js jetstream.JetStream, client *river.Client[pgx.Tx]) error {
	commands, err := js.CreateOrUpdateConsumer(ctx, job.CommandStream, jetstream.ConsumerConfig{
		Durable: "river", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 4 * r.concurrency,
	})
	if err != nil {
		return fmt.Errorf("create consumer: %w", err)
	}
	inserters, most := r.concurrency, 1
	if r.batched {
		inserters, most = 1, r.concurrency
	}
	queue := make(chan jetstream.Msg, r.concurrency)
	consuming, err := commands.Consume(func(m jetstream.Msg) { queue <- m })
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	defer consuming.Stop()
	failed := make(chan error, inserters)
	for range inserters {
		go func() { failed <- insertAll(ctx, client, queue, most) }()
	}
	return <-failed
}

// insertAll inserts what has come, at most so much at once.
func insertAll(ctx context.Context, client *river.Client[pgx.Tx], queue <-chan jetstream.Msg, most int) error {
	for first := range queue {
		batch := []jetstream.Msg{first}
		for waiting := true; waiting && len(batch) < most; {
			select {
			case m := <-queue:
				batch = append(batch, m)
			default:
				waiting = false
			}
		}
		if err := insert(ctx, client, batch); err != nil {
			return err
		}
	}
	return errors.New("pull: it has ended")
}

func insert(ctx context.Context, client *river.Client[pgx.Tx], batch []jetstream.Msg) error {
	var jobs []river.InsertManyParams
	for _, m := range batch {
		c, err := job.Read(m.Data())
		if err != nil {
			return err
		}
		jobs = append(jobs, river.InsertManyParams{
			Args: refund{c}, InsertOpts: &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}},
		})
	}
	if _, err := client.InsertMany(ctx, jobs); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	for _, m := range batch {
		if err := m.Ack(); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
	return nil
}
