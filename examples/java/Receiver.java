// Receives webhooks of straks: verifies each, drops repeats, and prints what is new.
// Needs Java 17 and Jackson. WEBHOOK_SECRET is the secret, "whsec_…".
//
//   java -cp JACKSON Receiver.java HOST PORT

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Receiver {
    static final byte[] KEY = Base64.getDecoder().decode(System.getenv("WEBHOOK_SECRET").substring("whsec_".length()));
    static final long TOLERANCE = 300; // seconds
    static final int MAX_BODY = 1 << 20;
    // In a real receiver: a table with a unique id, written together with the event.
    static final Set<String> SEEN = ConcurrentHashMap.newKeySet();

    /** Reports whether the request was signed with the key, lately. */
    static boolean good(Headers headers, byte[] body) throws GeneralSecurityException {
        String id = headers.getFirst("webhook-id"), stamp = headers.getFirst("webhook-timestamp"), signatures = headers.getFirst("webhook-signature");
        if (id == null || stamp == null || signatures == null || !stamp.matches("[0-9]{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(stamp)) > TOLERANCE) {
            return false;
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(KEY, "HmacSHA256"));
        mac.update((id + "." + stamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] want = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
        for (String s : signatures.split(" ")) { // two while the secret is being changed
            if (MessageDigest.isEqual(want, s.getBytes(StandardCharsets.UTF_8))) {
                return true;
            }
        }
        return false;
    }

    public static void main(String[] args) throws IOException {
        ObjectMapper json = new ObjectMapper();
        HttpServer server = HttpServer.create(new InetSocketAddress(args[0], Integer.parseInt(args[1])), 0);
        server.createContext("/", exchange -> {
            int status = 401;
            try (exchange) {
                byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY);
                if (good(exchange.getRequestHeaders(), body)) {
                    var event = json.readTree(body);
                    String id = exchange.getRequestHeaders().getFirst("webhook-id");
                    if (SEEN.add(id)) {
                        System.out.println(id + " " + event.get("type").asText() + " " + event.at("/data/recipients/0/status").asText());
                    }
                    status = 204;
                }
                exchange.sendResponseHeaders(status, -1);
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException(e);
            }
        });
        server.start();
    }
}
