package spool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type primeKey struct{}

// Prime marks a context for a call of the exporter that is to show the spool how to send, connection and headers, and to send nothing
// itself. Without it what an earlier process left waits for the first export.
func Prime(ctx context.Context) context.Context { return context.WithValue(ctx, primeKey{}, true) }

func primes(ctx context.Context) bool { return ctx.Value(primeKey{}) != nil }

// prime notes how to send and starts.
func (s *Spool) prime(send sendFunc) {
	s.mu.Lock()
	s.send = send
	s.mu.Unlock()
	s.poke()
}

// UnaryClientInterceptor sends the calls of an OTLP exporter over gRPC through the spool. Give it to the exporter's connection as the
// only or the innermost interceptor. Later attempts carry the latest call's headers; none are kept on disk.
func (s *Spool) UnaryClientInterceptor() grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, req, answer any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		request, ok := req.(proto.Message)
		response, ok2 := answer.(proto.Message)
		if !ok || !ok2 {
			return invoker(ctx, method, req, answer, cc, opts...)
		}
		headers, _ := metadata.FromOutgoingContext(ctx)
		send := func(ctx context.Context, r record) (reply, error) {
			b, err := unpack(r)
			if err != nil {
				return reply{}, status.Error(codes.InvalidArgument, err.Error())
			}
			reconnect(ctx, cc)
			var message []byte
			err = invoker(metadata.NewOutgoingContext(ctx, headers), method, b, &message, cc,
				append(slices.Clip(opts), grpc.ForceCodecV2(raw{}))...)
			return reply{message: message}, err
		}
		if primes(ctx) {
			s.prime(send)
			return nil
		}
		b, err := proto.Marshal(request)
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		got, err := s.deliver(ctx, record{at: time.Now(), request: b}, send)
		if err != nil {
			return err
		}
		return proto.Unmarshal(got.message, response)
	}
}

// reconnect ends gRPC's own pause between attempts to connect, which grows to two minutes and would fail ours meanwhile, and waits a
// moment for the attempt to begin.
func reconnect(ctx context.Context, cc *grpc.ClientConn) {
	if cc == nil || cc.GetState() != connectivity.TransientFailure {
		return
	}
	cc.ResetConnectBackoff()
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	cc.WaitForStateChange(ctx, connectivity.TransientFailure)
}

// raw hands requests and replies through as the bytes that they are on the wire.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("spool: %T to send", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("spool: %T to receive", v)
	}
	*b = data.Materialize()
	return nil
}
