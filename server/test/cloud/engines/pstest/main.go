// Command pstest serves Google's in-memory Pub/Sub (cloud.google.com/go/pubsub/v2/pstest) on a loopback port,
// with a control endpoint on another one: faults on purpose, counters, and everything that was published.
//
// It prints one line of JSON on standard output once it serves, and ends when its standard input closes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What the real service refuses and pstest does not: https://cloud.google.com/pubsub/quotas#resource_limits
const (
	messagesMax     = 1_000
	requestBytesMax = 10_000_000
	transferMax     = 64 << 20
)

func main() {
	port := flag.Int("port", 0, "Pub/Sub port on 127.0.0.1; 0 takes a free one")
	controlPort := flag.Int("control-port", 0, "control port on 127.0.0.1; 0 takes a free one")
	flag.Parse()

	fake := pstest.NewServerWithAddress("127.0.0.1:0")
	faults := &faults{}
	// Served by a server of our own: pstest's takes no interceptor (its reactors run under the lock of the whole
	// broker, so that a delay there stops everything) and refuses requests above gRPC's default of 4 MiB.
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(transferMax),
		grpc.MaxSendMsgSize(transferMax),
		grpc.ChainUnaryInterceptor(faults.intercept, refuseTooLarge),
	)
	pb.RegisterPublisherServer(server, &fake.GServer)
	pb.RegisterSubscriberServer(server, &fake.GServer)
	pb.RegisterSchemaServiceServer(server, &fake.GServer)

	pubsub := listen(*port)
	control := listen(*controlPort)
	go serve(func() error { return server.Serve(pubsub) })
	go serve(func() error { return http.Serve(control, newControl(fake, faults)) })

	ready := map[string]string{"address": pubsub.Addr().String(), "control": control.Addr().String()}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func listen(port int) net.Listener {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

func serve(run func() error) { log.Fatal(run()) }

// refuseTooLarge refuses a publish above the service's documented limits.
func refuseTooLarge(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if publish, ok := request.(*pb.PublishRequest); ok {
		if count := len(publish.Messages); count == 0 || count > messagesMax {
			return nil, status.Errorf(codes.InvalidArgument, "%d messages: 1 to %d allowed", count, messagesMax)
		}
		bytes := 0
		for _, message := range publish.Messages {
			bytes += len(message.Data)
			if len(message.Data) == 0 && len(message.Attributes) == 0 {
				return nil, status.Error(codes.InvalidArgument, "a message needs data or an attribute")
			}
		}
		if bytes > requestBytesMax {
			return nil, status.Errorf(codes.InvalidArgument, "%d bytes: at most %d allowed", bytes, requestBytesMax)
		}
	}
	return next(ctx, request)
}
