// Sends an SMS through straks, follows the feed of status changes, and verifies a person's number by a code.
// Needs .NET 8. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
//
//   dotnet run -- send PHONE TEXT     prints the shipment's id
//   dotnet run -- follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
//   dotnet run -- start PHONE         sends a code, prints the verification's id
//   dotnet run -- check ID CODE       prints approved, pending and the attempts left, or ended and why

using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(35) };
http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("STRAKS_TOKEN"));
var straks = new Straks(http, Environment.GetEnvironmentVariable("STRAKS_URL")!);

switch (args)
{
    case ["send", var phone, var text]:
        Console.WriteLine(await straks.Send(phone, text, TimeSpan.FromMinutes(1)));
        return 0;
    case ["follow", var file, ..]:
        var left = args.Length > 2 ? int.Parse(args[2]) : 0;
        await straks.Follow(file, e =>
        {
            Console.WriteLine($"{e.SequenceNumber} {e.ShipmentId} {e.Recipients[0].Status}");
            return --left != 0;
        });
        return 0;
    case ["start", var phone]:
        Console.WriteLine(await straks.Start(phone, TimeSpan.FromMinutes(1)));
        return 0;
    case ["check", var id, var code]:
        Console.WriteLine(await straks.Check(id, code));
        return 0;
    default:
        Console.Error.WriteLine("usage: send PHONE TEXT | follow FILE [N] | start PHONE | check ID CODE");
        return 2;
}

public sealed record Placed(Notification Notification);
public sealed record Notification(Guid ShipmentId);
public sealed record Recipient(string Status);
public sealed record Verification(Guid VerificationId, string Status, int AttemptsLeft);
public sealed record Problem(string Code);
public sealed record Entry(long SequenceNumber, Guid ShipmentId, Recipient[] Recipients);

/// <summary>A repeat of the call does not help.</summary>
public sealed class RefusedException(HttpStatusCode status, string text) : Exception($"refused with {(int)status}: {text}")
{
    public HttpStatusCode Status { get; } = status;
    public string Text { get; } = text;
}

/// <summary>The call may be repeated after that time.</summary>
public sealed class AgainException(TimeSpan after, string why) : Exception(why)
{
    public TimeSpan After { get; } = after;
}

public sealed class Straks(HttpClient http, string url)
{
    private async Task<T> Call<T>(HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, url + path);
        if (body is not null) request.Content = JsonContent.Create(body);
        try
        {
            using var answer = await http.SendAsync(request);
            if (answer.IsSuccessStatusCode) return (await answer.Content.ReadFromJsonAsync<T>())!;
            if (answer.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests || (int)answer.StatusCode >= 500)
                throw new AgainException(answer.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1), $"answered {(int)answer.StatusCode}");
            throw new RefusedException(answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
        {
            throw new AgainException(TimeSpan.FromSeconds(1), e.Message); // no answer, or half of one
        }
    }

    /// <summary>Repeats a call until there is an answer.</summary>
    private async Task<T> Persist<T>(string path, object body, TimeSpan within)
    {
        var deadline = DateTime.UtcNow + within;
        while (true)
        {
            try
            {
                return await Call<T>(HttpMethod.Post, path, body);
            }
            catch (AgainException e) when (DateTime.UtcNow + e.After < deadline)
            {
                await Task.Delay(e.After);
            }
        }
    }

    /// <summary>Sends one SMS and returns the shipment's id.</summary>
    public async Task<Guid> Send(string phone, string text, TimeSpan within)
    {
        // One key for one message, made before the first attempt and the same in each. It makes the repeat
        // safe: straks sends a key once, however often it comes. Keep it with what the message is about.
        var order = new
        {
            idempotencyId = Guid.NewGuid().ToString(),
            recipientSms = new { phoneNumber = phone, timeToLiveInSeconds = 300, smsSettings = new { body = text } },
        };
        return (await Persist<Placed>("/future/orders/instant/sms", order, within)).Notification.ShipmentId;
    }

    /// <summary>Sends a code. Keep the id in the person's session, and take it from nowhere else.</summary>
    public async Task<Guid> Start(string phone, TimeSpan within)
    {
        var request = new { idempotencyId = Guid.NewGuid().ToString(), recipientSms = new { phoneNumber = phone } }; // one key, as in Send
        return (await Persist<Verification>("/verifications", request, within)).VerificationId;
    }

    /// <summary>Returns what came of a code. The right one is approved again for 10 seconds, so a repeat may ask for so long.</summary>
    public async Task<string> Check(string id, string code)
    {
        try
        {
            var v = await Persist<Verification>($"/verifications/{Uri.EscapeDataString(id)}/check", new { code }, TimeSpan.FromSeconds(10));
            return v.Status == "approved" ? "approved" : $"pending {v.AttemptsLeft}"; // pending: it was wrong
        }
        catch (RefusedException e) when (e.Status == HttpStatusCode.Gone)
        {
            var problem = JsonSerializer.Deserialize<Problem>(e.Text, new JsonSerializerOptions(JsonSerializerDefaults.Web))!;
            return $"ended {problem.Code}"; // expired, used, exhausted, cancelled: start again
        }
    }

    /// <summary>Calls handle with each entry, in order, until it returns false. After a crash the last entry may come again.</summary>
    public async Task Follow(string file, Func<Entry, bool> handle)
    {
        var cursor = File.Exists(file) ? long.Parse(await File.ReadAllTextAsync(file)) : 0;
        while (true)
        {
            Entry[] page = [];
            var pause = TimeSpan.Zero; // after an answer: the service has waited
            try
            {
                page = await Call<Entry[]>(HttpMethod.Get, $"/future/shipment/feed?seq={cursor}&wait=30", null);
            }
            catch (AgainException e)
            {
                pause = e.After;
            }
            foreach (var entry in page)
            {
                var more = handle(entry);
                cursor = entry.SequenceNumber;
                await File.WriteAllTextAsync(file, cursor.ToString()); // only when the entry is dealt with
                if (!more) return;
            }
            await Task.Delay(pause);
        }
    }
}
