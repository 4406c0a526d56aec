// Command temporal does the job with Temporal: a bridge takes commands from
// JetStream and starts a workflow for each, under the command's id, and the
// workflow has two activities, the provider's call and the result's publish.
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

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countermand/countermand/bench/job"
)

const (
	namespace = "bench"
	taskQueue = "refunds"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "address of the broker")
	provider := flag.String("provider", "http://127.0.0.1:4280", "address of the provider")
	concurrency := flag.Int("concurrency", 256, "commands at a time")
	server := flag.String("server", "127.0.0.1:7233", "address of the server's frontend")
	probe := flag.Bool("probe", false, "make the namespace and end")
	flag.Parse()
	ctx := context.Background()
	logger := tlog.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	err := register(ctx, *server, logger)
	if err == nil && !*probe {
		var c client.Client
		c, err = client.Dial(client.Options{HostPort: *server, Namespace: namespace, Logger: logger})
		if err == nil {
			err = run(ctx, *url, c, job.NewProvider(*provider, *concurrency), *concurrency)
		}
	}
	if err != nil {
		log.Fatal("temporal: ", err)
	}
}

// activities are the two steps.
type activities struct {
	provider *job.Provider
	js       jetstream.JetStream
}

// Call calls the provider.
func (a *activities) Call(ctx context.Context, c job.Command) (int64, error) {
	return a.provider.Refund(ctx, c)
}

// Publish publishes the result.
func (a *activities) Publish(ctx context.Context, c job.Command, moved int64) error {
	result, err := c.Result(moved)
	if err == nil {
		_, err = a.js.Publish(ctx, c.Subject(), result)
	}
	return err
}

// refund is the workflow.
func refund(ctx workflow.Context, c job.Command) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second})
	var a *activities
	var moved int64
	if err := workflow.ExecuteActivity(ctx, a.Call, c).Get(ctx, &moved); err != nil {
		return err
	}
	return workflow.ExecuteActivity(ctx, a.Publish, c, moved).Get(ctx, nil)
}

func run(ctx context.Context, url string, c client.Client, provider *job.Provider, concurrency int) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	w := worker.New(c, taskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: concurrency, MaxConcurrentWorkflowTaskExecutionSize: concurrency,
		MaxConcurrentActivityTaskPollers: 16, MaxConcurrentWorkflowTaskPollers: 16,
	})
	w.RegisterWorkflowWithOptions(refund, workflow.RegisterOptions{Name: "refund"})
	w.RegisterActivity(&activities{provider: provider, js: js})
	if err := start(ctx, w); err != nil {
		return err
	}
	return bridge(ctx, js, c, concurrency)
}

// register makes the namespace; one that is there is as good.
func register(ctx context.Context, server string, logger tlog.Logger) error {
	c, err := client.NewNamespaceClient(client.Options{HostPort: server, Logger: logger})
	if err != nil {
		return fmt.Errorf("connect to server: %w", err)
	}
	defer c.Close()
	err = c.Register(ctx, &workflowservice.RegisterNamespaceRequest{Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
	var there *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("register namespace: %w", err)
	}
	return nil
}

// start starts the worker; a new namespace is known to all of the server's parts
// only after some seconds.
func start(ctx context.Context, w worker.Worker) error {
	for try := 0; ; try++ {
		err := w.Start()
		if err == nil {
			return nil
		}
		if try == 60 {
			return fmt.Errorf("start worker: %w", err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bridge starts workflows, so many at a time, and acknowledges what the server has.
func bridge(ctx context.Context, js jetstream.JetStream, c client.Client, concurrency int) error {
	commands, err := js.CreateOrUpdateConsumer(ctx, job.CommandStream, jetstream.ConsumerConfig{
		Durable: "temporal", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 4 * concurrency,
	})
	if err != nil {
		return fmt.Errorf("create consumer: %w", err)
	}
	messages, err := commands.Messages()
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	queue := make(chan jetstream.Msg)
	for range concurrency {
		go func() {
			for m := range queue {
				if err := begin(ctx, c, m); err != nil {
					log.Print("temporal: ", err)
					_ = m.NakWithDelay(time.Second) // lost: AckWait brings it
				}
			}
		}()
	}
	for {
		m, err := messages.Next()
		if err != nil {
			return fmt.Errorf("pull: %w", err)
		}
		queue <- m
	}
}

func begin(ctx context.Context, c client.Client, m jetstream.Msg) error {
	command, err := job.Read(m.Data())
	if err != nil {
		return err
	}
	_, err = c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: command.ID, TaskQueue: taskQueue, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}, "refund", command)
	if err != nil {
		return fmt.Errorf("start workflow: %w", err)
	}
	return m.Ack()
}
