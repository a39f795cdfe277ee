import Logging
import Testing

@testable import kapsule

@Suite struct TerminalPartsTests {
    @Test(
        arguments: [
            (0, "0.0 s"), (2_149, "2.1 s"), (59_949, "59.9 s"), (59_950, "1 min 00 s"), (65_000, "1 min 05 s"),
            (7_380_000, "2 h 03 min"),
        ] as [(Int, String)])
    func timesAreWords(_ milliseconds: Int, _ text: String) {
        #expect(DurationText.spent(.milliseconds(milliseconds)) == text)
    }

    @Test(
        arguments: [(0, "0:00"), (7.4, "0:07"), (754, "12:34"), (3723, "1:02:03"), (1e9, nil)] as [(Double, String?)])
    func estimatesAreClocks(_ seconds: Double, _ text: String?) {
        #expect(DurationText.left(seconds: seconds) == text)
    }

    @Test(arguments: [(0, 100, 0), (99, 100, 99), (999_999, 1_000_000, 99), (100, 100, 100), (0, 0, 100)])
    func percentsAreRoundedDown(_ done: Int64, _ total: Int64, _ percent: Int) {
        #expect(ProgressRow.percent(done, of: total) == percent)
    }

    @Test func aRateIsOfTheLastSecondsAlone() {
        var meter = RateMeter(at: .zero, done: 0)
        #expect(meter.rate(100, at: .milliseconds(100)) == nil)
        for second in 1...10 { meter.note(Int64(second) * 1000, at: .seconds(second)) }
        #expect(meter.rate(10_000, at: .seconds(10)) == 1000)
        for second in 11...20 { meter.note(10_000, at: .seconds(second)) }
        #expect(meter.rate(10_000, at: .seconds(20)) == 0)
    }

    @Test func logsAreLinesWithTheirDetailsInOrder() {
        let stage = Stage(.tty)
        var logger = Logger(label: "http") { TerminalLogHandler(label: $0, level: .debug, progress: stage.renderer) }
        logger[metadataKey: "host"] = "hub"
        logger.debug("got\u{1b}[2J 206", metadata: ["bytes": "12"])
        logger.trace("unseen")
        logger.warning("slow")
        stage.renderer.finish()
        #expect(
            stage.screen.lines == [
                #"debug: http: got\u{1b}[2J 206 bytes=12 host=hub"#, "warning: http: slow host=hub", "",
            ])
    }
}
