// Takes the runner's orders, line by line, with the Go client named first: go-clients CLIENT BOOTSTRAP.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	leadersLimit      = 10 * time.Second
	readLimit         = 15 * time.Second
	orderLimit        = 60 * time.Second
	heartbeatInterval = 500 * time.Millisecond
)

// Of a member, unless the order says another.
var sessionTimeout = 6 * time.Second

// Client is what each of the three must be able to do.
type Client interface {
	// Create makes a topic.
	Create(ctx context.Context, topic string, partitions int) error
	// Leaders counts the partitions of a topic that have a leader.
	Leaders(ctx context.Context, topic string) (int, error)
	// Produce sends records and returns their offsets.
	Produce(ctx context.Context, topic string, settings Settings, records []Record) ([]int64, error)
	// Read reads all partitions until it has count records or the context ends, which is no error.
	Read(ctx context.Context, topic string, partitions int, start Start, count int) ([]Record, error)
	// Transactions initialises a transactional producer.
	Transactions(ctx context.Context, id string) error
	// Join reads as a member of a group, committing before it emits, until the context ends, and then leaves.
	Join(ctx context.Context, group, topic string, emit func([]Record)) error
}

// Settings of a producer; one producer is kept for each.
type Settings struct {
	Codec      string
	Acks       string
	Idempotent bool
}

// Start is where to read from: a time if there is one, else an offset.
type Start struct {
	Offset    int64
	Timestamp *int64
}

// Record as the runner writes and reads it. A nil slice is null, an empty one is empty.
type Record struct {
	Partition int      `json:"partition"`
	Offset    int64    `json:"offset"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
	Timestamp int64    `json:"timestamp"`
}

// Header is a pair in JSON.
type Header struct {
	Key   string
	Value []byte
}

func (h Header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.Key, h.Value}) }

func (h *Header) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&h.Key, &h.Value})
}

type order struct {
	Do         string
	Topic      string
	Group      string
	// In milliseconds.
	Session    int
	ID         string
	Partitions int
	Count      int
	Codec      string
	Acks       string
	Idempotent bool
	Records    []Record
	Offset     int64
	Timestamp  *int64
}

type answer map[string]any

var clients = map[string]func(bootstrap string) Client{
	"franz":     newFranz,
	"sarama":    newSarama,
	"segmentio": newSegmentio,
}

func main() {
	client := clients[os.Args[1]](os.Args[2])
	orders := bufio.NewReader(os.Stdin)
	for {
		line, err := orders.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		var order order
		if err := json.Unmarshal(line, &order); err != nil {
			panic(err)
		}
		if order.Do == "join" {
			join(client, order, orders)
			return
		}
		result, err := carryOut(client, order)
		if err != nil {
			result = answer{"error": err.Error()}
		}
		emit(result)
	}
}

func carryOut(client Client, order order) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), orderLimit)
	defer cancel()
	switch order.Do {
	case "create":
		leaders, err := create(ctx, client, order.Topic, order.Partitions)
		return answer{"leaders": leaders}, err
	case "produce":
		settings := Settings{order.Codec, order.Acks, order.Idempotent}
		offsets, err := client.Produce(ctx, order.Topic, settings, order.Records)
		return answer{"offsets": offsets}, err
	case "read":
		ctx, cancel := context.WithTimeout(ctx, readLimit)
		defer cancel()
		records, err := client.Read(ctx, order.Topic, order.Partitions, Start{order.Offset, order.Timestamp}, order.Count)
		return answer{"records": records}, err
	case "transactions":
		return answer{}, client.Transactions(ctx, order.ID)
	}
	return nil, fmt.Errorf("unknown order %s", order.Do)
}

// Apache Kafka may answer a creation before the news of it has reached its broker side.
func create(ctx context.Context, client Client, topic string, partitions int) (int, error) {
	if err := client.Create(ctx, topic, partitions); err != nil {
		return 0, err
	}
	until := time.Now().Add(leadersLimit)
	for {
		leaders, err := client.Leaders(ctx, topic)
		if leaders == partitions || time.Now().After(until) {
			return leaders, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// The only order after a join is to leave, and the end of the input means the same.
func join(client Client, order order, orders *bufio.Reader) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = orders.ReadBytes('\n')
		cancel()
	}()
	if order.Session > 0 {
		sessionTimeout = time.Duration(order.Session) * time.Millisecond
	}
	err := client.Join(ctx, order.Group, order.Topic, func(records []Record) { emit(answer{"records": records}) })
	if err != nil {
		emit(answer{"error": err.Error()})
		return
	}
	emit(answer{"left": true})
}

var output sync.Mutex

func emit(answer answer) {
	line, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}
