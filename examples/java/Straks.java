// Sends an SMS through straks, follows the feed of status changes, and verifies a person's number by a code.
// Needs Java 17 and Jackson. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
//
//   java -cp JACKSON Straks.java send PHONE TEXT     prints the shipment's id
//   java -cp JACKSON Straks.java follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
//   java -cp JACKSON Straks.java start PHONE         sends a code, prints the verification's id
//   java -cp JACKSON Straks.java check ID CODE       prints approved, pending and the attempts left, or ended and why

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import java.util.function.Predicate;

public final class Straks {
    /** The call may be repeated after so many seconds. */
    static final class Again extends Exception {
        final long seconds;

        Again(long seconds, String why) {
            super(why);
            this.seconds = seconds;
        }
    }

    /** A repeat of the call does not help. */
    static final class Refused extends RuntimeException {
        final int status;
        final String text;

        Refused(int status, String text) {
            super("refused with " + status + ": " + text);
            this.status = status;
            this.text = text;
        }
    }

    private final String url = System.getenv("STRAKS_URL");
    private final String token = System.getenv("STRAKS_TOKEN");
    private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    private final ObjectMapper json = new ObjectMapper();

    /** Does one call. body is null for a GET. */
    private JsonNode call(String path, Object body) throws Again, IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path))
                .timeout(Duration.ofSeconds(35))
                .header("Authorization", "Bearer " + token);
        if (body != null) {
            request.header("Content-Type", "application/json").POST(BodyPublishers.ofString(json.writeValueAsString(body)));
        }
        HttpResponse<String> answer;
        try {
            answer = http.send(request.build(), BodyHandlers.ofString());
        } catch (IOException e) { // no answer, or half of one
            throw new Again(1, e.toString());
        }
        int status = answer.statusCode();
        if (status == 200 || status == 201) {
            return json.readTree(answer.body());
        }
        if (status == 408 || status == 429 || status >= 500) {
            String after = answer.headers().firstValue("Retry-After").orElse("");
            throw new Again(after.matches("\\d{1,6}") ? Long.parseLong(after) : 1, "answered " + status);
        }
        throw new Refused(status, answer.body());
    }

    /** Repeats a call until there is an answer. */
    private JsonNode persist(String path, Object body, Duration within) throws Again, IOException, InterruptedException {
        Instant deadline = Instant.now().plus(within);
        while (true) {
            try {
                return call(path, body);
            } catch (Again e) {
                if (Instant.now().plusSeconds(e.seconds).isAfter(deadline)) {
                    throw e;
                }
                Thread.sleep(e.seconds * 1000);
            }
        }
    }

    /** Sends one SMS and returns the shipment's id. */
    String send(String phone, String text, Duration within) throws Again, IOException, InterruptedException {
        // One key for one message, made before the first attempt and the same in each. It makes the repeat
        // safe: straks sends a key once, however often it comes. Keep it with what the message is about.
        Object order = Map.of(
                "idempotencyId", UUID.randomUUID().toString(),
                "recipientSms", Map.of("phoneNumber", phone, "timeToLiveInSeconds", 300, "smsSettings", Map.of("body", text)));
        return persist("/future/orders/instant/sms", order, within).at("/notification/shipmentId").asText();
    }

    /** Sends a code. Keep the id in the person's session, and take it from nowhere else. */
    String start(String phone, Duration within) throws Again, IOException, InterruptedException {
        Object request = Map.of("idempotencyId", UUID.randomUUID().toString(), "recipientSms", Map.of("phoneNumber", phone)); // one key, as in send
        return persist("/verifications", request, within).get("verificationId").asText();
    }

    /** Returns what came of a code. The right one is approved again for 10 seconds, so a repeat may ask for so long. */
    String check(String id, String code) throws Again, IOException, InterruptedException {
        try {
            JsonNode v = persist("/verifications/" + id + "/check", Map.of("code", code), Duration.ofSeconds(10));
            return v.get("status").asText().equals("approved") ? "approved" : "pending " + v.get("attemptsLeft").asInt(); // pending: it was wrong
        } catch (Refused e) {
            if (e.status != 410) {
                throw e;
            }
            return "ended " + json.readTree(e.text).get("code").asText(); // expired, used, exhausted, cancelled: start again
        }
    }

    /** Calls handle with each entry, in order, until it returns false. After a crash the last entry may come again. */
    void follow(Path file, Predicate<JsonNode> handle) throws IOException, InterruptedException {
        long cursor = Files.exists(file) ? Long.parseLong(Files.readString(file).trim()) : 0;
        while (true) {
            JsonNode page = json.createArrayNode();
            long pause = 0; // after an answer: the service has waited
            try {
                page = call("/future/shipment/feed?seq=" + cursor + "&wait=30", null);
            } catch (Again e) {
                pause = e.seconds;
            }
            for (JsonNode entry : page) {
                boolean more = handle.test(entry);
                cursor = entry.get("sequenceNumber").asLong();
                Files.writeString(file, Long.toString(cursor)); // only when the entry is dealt with
                if (!more) {
                    return;
                }
            }
            Thread.sleep(pause * 1000);
        }
    }

    public static void main(String[] args) throws Exception {
        Straks straks = new Straks();
        if (args.length == 3 && args[0].equals("send")) {
            System.out.println(straks.send(args[1], args[2], Duration.ofMinutes(1)));
        } else if (args.length >= 2 && args[0].equals("follow")) {
            int[] left = {args.length > 2 ? Integer.parseInt(args[2]) : 0};
            straks.follow(Path.of(args[1]), e -> {
                System.out.println(e.get("sequenceNumber").asLong() + " " + e.get("shipmentId").asText()
                        + " " + e.at("/recipients/0/status").asText());
                return --left[0] != 0;
            });
        } else if (args.length == 2 && args[0].equals("start")) {
            System.out.println(straks.start(args[1], Duration.ofMinutes(1)));
        } else if (args.length == 3 && args[0].equals("check")) {
            System.out.println(straks.check(args[1], args[2]));
        } else {
            System.err.println("usage: send PHONE TEXT | follow FILE [N] | start PHONE | check ID CODE");
            System.exit(2);
        }
    }
}
