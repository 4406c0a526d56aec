// Command restate does the job with Restate: a bridge takes commands from JetStream
// and sends them through the server's ingress under an idempotency key; the server
// calls back, and the provider's call and the result's publish are journaled steps.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	restate "github.com/restatedev/sdk-go"
	"github.com/restatedev/sdk-go/ingress"
	"github.com/restatedev/sdk-go/server"

	"github.com/countermand/countermand/bench/job"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "address of the broker")
	provider := flag.String("provider", "http://127.0.0.1:4280", "address of the provider")
	concurrency := flag.Int("concurrency", 256, "commands at a time")
	listen := flag.String("listen", "127.0.0.1:9080", "address the server calls back")
	entrance := flag.String("ingress", "http://127.0.0.1:8080", "address of the server's ingress")
	admin := flag.String("admin", "http://127.0.0.1:9070", "address of the server's administration")
	flag.Parse()
	a := addresses{broker: *url, listen: *listen, ingress: *entrance, admin: *admin}
	if err := run(a, job.NewProvider(*provider, *concurrency), *concurrency); err != nil {
		log.Fatal("restate: ", err)
	}
}

// refunds is the service.
type refunds struct {
	provider *job.Provider
	js       jetstream.JetStream
}

// ServiceName implements the SDK's naming.
func (refunds) ServiceName() string { return "Refunds" }

// Do is one refund: two steps, each remembered once it is done.
func (r refunds) Do(ctx restate.Context, c job.Command) (int64, error) {
	moved, err := restate.Run(ctx, func(ctx restate.RunContext) (int64, error) { return r.provider.Refund(ctx, c) })
	if err != nil {
		return 0, err
	}
	_, err = restate.Run(ctx, func(ctx restate.RunContext) (restate.Void, error) {
		result, err := c.Result(moved)
		if err == nil {
			_, err = r.js.Publish(ctx, c.Subject(), result)
		}
		return restate.Void{}, err
	})
	return moved, err
}

// addresses are those of the broker, of this service, and of the server's two.
type addresses struct{ broker, listen, ingress, admin string }

func run(a addresses, provider *job.Provider, concurrency int) error {
	ctx := context.Background()
	nc, err := nats.Connect(a.broker, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	quiet := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	ended := make(chan error, 1)
	go func() {
		ended <- server.NewRestate().WithLogger(quiet, true).Bind(restate.Reflect(refunds{provider: provider, js: js})).Start(ctx, a.listen)
	}()
	if err := register(ctx, a.admin, a.listen); err != nil {
		return err
	}
	commands, err := js.CreateOrUpdateConsumer(ctx, job.CommandStream, jetstream.ConsumerConfig{
		Durable: "restate", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 4 * concurrency,
	})
	if err != nil {
		return fmt.Errorf("create consumer: %w", err)
	}
	queue := make(chan jetstream.Msg)
	consuming, err := commands.Consume(func(m jetstream.Msg) { queue <- m })
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	defer consuming.Stop()
	client := ingress.NewClient(a.ingress, ingress.WithHttpClient(&http.Client{Transport: &http.Transport{MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency}}))
	for range concurrency {
		go send(ctx, client, queue)
	}
	return <-ended
}

// register tells the server where the service is; again until the service listens.
func register(ctx context.Context, admin, listen string) error {
	for ctx.Err() == nil {
		body := fmt.Sprintf(`{"uri":"http://%s","force":true}`, listen)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, admin+"/deployments", strings.NewReader(body))
		if err != nil {
			return fmt.Errorf("register: %w", err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := new(http.Client).Do(r)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode/100 == 2 {
				return nil
			}
			log.Print("restate: register: ", answer.Status)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ctx.Err()
}

// send hands commands to the server and acknowledges what it has taken.
func send(ctx context.Context, client *ingress.Client, queue <-chan jetstream.Msg) {
	requester := ingress.ServiceSend[job.Command](client, "Refunds", "Do")
	for m := range queue {
		c, err := job.Read(m.Data())
		if err == nil {
			_, err = requester.Send(ctx, c, restate.WithIdempotencyKey(c.ID))
		}
		if err == nil {
			err = m.Ack()
		}
		if err != nil {
			log.Print("restate: ", err)
			_ = m.NakWithDelay(time.Second) // lost: AckWait brings it
		}
	}
}
