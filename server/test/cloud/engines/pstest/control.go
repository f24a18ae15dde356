package main

import (
	"encoding/json"
	"net/http"

	"cloud.google.com/go/pubsub/v2/pstest"
)

// counters is what GET /counters answers.
type counters struct {
	// Topics holds the messages stored by topic, each publish of a duplicate included.
	Topics map[string]int `json:"topics"`
	// Calls holds the calls answered by method and status, e.g. {"Publish": {"OK": 3, "Unavailable": 1}}.
	Calls map[string]map[string]int `json:"calls"`
	// Faults is how many calls met the fault that is set.
	Faults int `json:"faults"`
}

// newControl serves POST and DELETE /fault, GET /counters, GET /data?topic= and /messages?topic= (one JSON value a
// line), and POST /clear, which forgets all messages.
func newControl(fake *pstest.Server, faults *faults) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		fault := &Fault{}
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		err := decoder.Decode(fault)
		if err == nil {
			err = faults.set(fault)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /fault", func(w http.ResponseWriter, _ *http.Request) {
		_ = faults.set(nil)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /clear", func(w http.ResponseWriter, _ *http.Request) {
		fake.ClearMessages()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, _ *http.Request) {
		topics := map[string]int{}
		for _, message := range fake.Messages() {
			topics[message.Topic]++
		}
		met, calls := faults.snapshot()
		_ = json.NewEncoder(w).Encode(counters{Topics: topics, Calls: calls, Faults: met})
	})
	mux.HandleFunc("GET /data", func(w http.ResponseWriter, r *http.Request) {
		for _, message := range published(fake, r) {
			_, _ = w.Write(append(message.Data, '\n'))
		}
	})
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, r *http.Request) {
		encoder := json.NewEncoder(w)
		for _, message := range published(fake, r) {
			_ = encoder.Encode(map[string]any{
				"messageId":   message.ID,
				"data":        string(message.Data),
				"attributes":  message.Attributes,
				"publishTime": message.PublishTime,
				"deliveries":  message.Deliveries,
				"acks":        message.Acks,
			})
		}
	})
	return mux
}

// published returns what was published to the topic that the request names, oldest first.
func published(fake *pstest.Server, r *http.Request) []*pstest.Message {
	topic := r.URL.Query().Get("topic")
	var found []*pstest.Message
	for _, message := range fake.Messages() {
		if message.Topic == topic {
			found = append(found, message)
		}
	}
	return found
}
