package main

import (
	"context"
	"fmt"
	"path"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is what a call answers instead of the truth.
type Fault struct {
	// RPC is the method's name, e.g. "Publish" (the default), "Pull", "Acknowledge".
	RPC string `json:"rpc"`
	// Code is a gRPC status name, e.g. "UNAVAILABLE". Empty: no error, only the delay.
	Code codes.Code `json:"code"`
	// Count is how many calls it meets; 0 means until it is cleared.
	Count int `json:"count"`
	// DelayMs is waited first. Other calls go on meanwhile.
	DelayMs int `json:"delayMs"`
	// After carries the call out and only then answers with the error: stored, and the answer lost.
	After bool `json:"after"`
}

type faults struct {
	mutex sync.Mutex
	fault *Fault
	met   int
	// calls counts what was answered, by method and status.
	calls map[string]map[string]int
}

func (f *faults) set(fault *Fault) error {
	if fault != nil && (fault.Count < 0 || fault.DelayMs < 0) {
		return fmt.Errorf("count and delayMs must not be negative")
	}
	if fault != nil && fault.RPC == "" {
		fault.RPC = "Publish"
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.fault, f.met = fault, 0
	return nil
}

// take returns the fault that a call of this method meets, if any, and counts it.
func (f *faults) take(method string) *Fault {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.fault == nil || f.fault.RPC != method {
		return nil
	}
	if f.fault.Count > 0 && f.met >= f.fault.Count {
		return nil
	}
	f.met++
	return f.fault
}

func (f *faults) count(method string, err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.calls == nil {
		f.calls = map[string]map[string]int{}
	}
	if f.calls[method] == nil {
		f.calls[method] = map[string]int{}
	}
	f.calls[method][status.Code(err).String()]++
}

// snapshot returns how many calls met the fault, and the counts of all calls by method and status.
func (f *faults) snapshot() (int, map[string]map[string]int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	calls := map[string]map[string]int{}
	for method, byStatus := range f.calls {
		calls[method] = map[string]int{}
		for name, count := range byStatus {
			calls[method][name] = count
		}
	}
	return f.met, calls
}

func (f *faults) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	answer, err := f.meet(ctx, request, f.take(method), next)
	f.count(method, err)
	return answer, err
}

func (f *faults) meet(ctx context.Context, request any, fault *Fault, next grpc.UnaryHandler) (any, error) {
	if fault == nil {
		return next(ctx, request)
	}
	if fault.DelayMs > 0 {
		select {
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-time.After(time.Duration(fault.DelayMs) * time.Millisecond):
		}
	}
	if fault.Code == codes.OK {
		return next(ctx, request)
	}
	if fault.After {
		if _, err := next(ctx, request); err != nil {
			return nil, err
		}
	}
	return nil, status.Errorf(fault.Code, "fault injected into %s", fault.RPC)
}
