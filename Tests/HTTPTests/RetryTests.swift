import KapsuleCore
import Synchronization
import TestSupport
import Testing

@testable import HTTP

/// Remembers how long it was asked to wait, and does not.
final class Waits: Sendable {
    private let waits = Mutex<[Duration]>([])
    var all: [Duration] { waits.withLock { $0 } }

    func policy(_ change: (inout RetryPolicy) -> Void = { _ in }) -> RetryPolicy {
        var policy = RetryPolicy()
        policy.sleep = { wait in self.waits.withLock { $0.append(wait) } }
        policy.jitter = { 1 }
        policy.now = { 784_111_777 }
        change(&policy)
        return policy
    }
}

@Suite struct RetryTests {
    static let transient = KapsuleError(.unavailable, id: "http.cut", "cut")

    @Test func doublesItsWaitsAndGivesUpAfterFive() {
        let waits = Waits()
        var tries = 0
        let error = failure {
            try waits.policy().run { _ in
                tries += 1
                throw Self.transient
            }
        }
        #expect(error?.id == "http.cut")
        #expect(tries == 5)
        #expect(waits.all == [.seconds(2), .seconds(4), .seconds(8), .seconds(16)])
    }

    @Test func triesNothingAgainThatCannotHelp() {
        let waits = Waits()
        for (code, id) in [
            (KapsuleError.Code.unverified, "http.too-large"), (.unavailable, "http.tls-trust"), (.unauthorized, "x"),
        ] {
            #expect(failure { try waits.policy().run { _ in throw KapsuleError(code, id: id, "") } }?.id == id)
        }
        let error = failure {
            try waits.policy().run { attempt in
                attempt.isFinal = true
                throw Self.transient
            }
        }
        #expect(error != nil)
        #expect(waits.all.isEmpty)
    }

    @Test func refreshesItsBudgetByProgress() throws {
        let waits = Waits()
        var tries = 0
        try waits.policy().run { attempt in
            tries += 1
            if tries == 100 { return }
            attempt.progressed()
            throw Self.transient
        }
        #expect(waits.all == Array(repeating: .seconds(2), count: 99))
    }

    @Test(
        arguments: [
            ("7", 7), ("0", 0), (" 7 ", 7), ("100000", 60), ("99999999999999999999", 60),
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10), ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0), ("Sun, 06 Nov 2094 08:00:00 GMT", 60), ("", 2), ("soon", 2),
            ("-1", 2),
            ("7.5", 2),
        ])
    func waitsAsTheServerSays(_ text: String, _ seconds: Int) throws {
        let waits = Waits()
        var tries = 0
        try waits.policy().run { attempt in
            tries += 1
            guard tries == 1 else { return }
            attempt.heard(
                HTTPResponse(status: 429, headers: ["Retry-After": text], url: WebAddress(.http, host: "h")))
            throw Self.transient
        }
        #expect(waits.all == [.seconds(seconds)])
    }

    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199), ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] as [(String, Int64)])
    func readsDates(_ text: String, _ seconds: Int64) {
        #expect(HTTPDate.seconds(text) == seconds)
    }

    @Test(arguments: [
        "", "x", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
    ])
    func refusesOtherDates(_ text: String) { #expect(HTTPDate.seconds(text) == nil) }

    @Test(arguments: [
        (408, true), (429, true), (500, true), (502, true), (503, true), (504, true), (501, false), (400, false),
        (404, false), (200, false),
    ])
    func knowsWhatPasses(_ status: Int, _ expected: Bool) {
        #expect(RetryPolicy.isTransient(status: status) == expected)
    }

    @Test func waitsLessWhereTheEnvironmentSaysSo() {
        let policy = RetryPolicy(environment: ["KAPSULE_RETRY_DELAY_MS": "1"])
        #expect(policy.firstDelay == .milliseconds(1))
        #expect(RetryPolicy(environment: ["KAPSULE_RETRY_DELAY_MS": "x"]).firstDelay == .seconds(2))
    }
}

@Suite struct MessageTests {
    @Test(
        arguments: [
            ("bytes 0-0/1", 0..<1, 1), ("bytes 5-9/10", 5..<10, 10), ("bytes 5-9/*", 5..<10, nil),
            ("BYTES 5-9/100", 5..<10, 100),
        ] as [(String, Range<Int64>, Int64?)])
    func readsContentRanges(_ text: String, _ range: Range<Int64>, _ total: Int64?) {
        #expect(ContentRange(parsing: text)?.range == range)
        #expect(ContentRange(parsing: text)?.total == total)
    }

    @Test(arguments: [
        "", "bytes", "bytes */10", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes -5-9/10", "items 5-9/10",
        "bytes 5-9/10/11", "bytes a-b/c", "bytes 0-9223372036854775807/*", "bytes 5-9/",
    ])
    func refusesOtherContentRanges(_ text: String) { #expect(ContentRange(parsing: text) == nil) }

    @Test(
        arguments: [
            (["</v2/m/tags/list?n=2&last=b>; rel=\"next\""], "/v2/m/tags/list?n=2&last=b"),
            (["</a>; rel=prev, </b>; REL=next"], "/b"), (["</a>; rel=\"prev\"", "</b>;rel=next"], "/b"),
            (["</a>"], nil), (["</a>; rel=\"nextish\""], nil), ([], nil), (["<unclosed; rel=next"], nil),
            (["<https://h/a?x=1,2;y>; title=\"x\"; rel=\"next\""], "https://h/a?x=1,2;y"),
        ] as [([String], String?)])
    func findsTheNextPage(_ values: [String], _ expected: String?) {
        var headers = HTTPHeaders()
        for value in values { headers.add("Link", value) }
        #expect(LinkHeader.next(in: headers) == expected)
    }

    @Test func makesServersTextFitToBeShown() {
        #expect(Excerpt.of("a\u{1b}[31m\r\n\tb\u{202e}c\u{0}", limit: 100) == "a [31m b c")
        #expect(Excerpt.of(String(repeating: "x", count: 300), limit: 5) == "xxxxx…")
        #expect(Excerpt.of([0xff, 0xfe, 0x41], limit: 5).hasSuffix("A"))
    }

    @Test func logsNoSecrets() {
        let headers: HTTPHeaders = [
            "Authorization": "Bearer s3cret", "Set-Cookie": "s3cret", "Location": "https://h/p?sig=s3cret",
            "Accept": "a/b", "Link": "<https://h/p?sig=s3cret>",
        ]
        #expect(!headers.redacted.contains("s3cret"))
        #expect(headers.redacted.contains("a/b"))
    }

    @Test func smugglesNoFields() {
        #expect((["X": "a\r\nAuthorization: b"] as HTTPHeaders)["X"] == "aAuthorization: b")
    }
}
