// Command server is a relay on the Centrifuge library in its default configuration: what a client publishes into a
// channel goes to all who have subscribed to it, the publisher too.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"
)

// anonymous lets everybody in: the library wants to know who comes.
func anonymous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		context := centrifuge.SetCredentials(r.Context(), &centrifuge.Credentials{UserID: "ana"})
		next.ServeHTTP(w, r.WithContext(context))
	})
}

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			reply(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", anonymous(centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{})))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
