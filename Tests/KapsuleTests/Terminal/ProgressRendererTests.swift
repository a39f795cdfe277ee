import Dispatch
import Foundation
import KapsuleCore
import TestSupport
import Testing

@testable import kapsule

@Suite struct ProgressRendererTests {
    static let mebibyte = 1 << 20

    @Test(
        arguments: [
            (.auto, true, [:], .tty), (.auto, false, [:], .plain), (.auto, true, ["CI": "true"], .plain),
            (.auto, true, ["CI": "false"], .tty), (.auto, true, ["TERM": "dumb"], .plain),
            (.json, true, ["CI": "1"], .json), (.tty, false, [:], .tty), (.none, true, [:], .none),
        ] as [(ProgressMode, Bool, [String: String], ProgressMode)])
    func autoIsBarsWhereAPersonLooks(
        _ mode: ProgressMode, _ isTerminal: Bool, _ environment: [String: String], _ resolved: ProgressMode
    ) {
        #expect(mode.resolved(isTerminal: isTerminal, environment: environment) == resolved)
    }

    @Test func barsAreRedrawnAndWhatEndedScrollsUpOnce() {
        let stage = Stage(.tty)
        let model = Activity("model.safetensors", total: Int64(100 * Self.mebibyte))
        let config = Activity("config.json", total: 1024)
        stage.renderer.expect(bytes: Int64(100 * Self.mebibyte) + 1024, activities: 2)
        stage.renderer.began(model)
        stage.pass(.milliseconds(100))
        #expect(stage.screen.isCursorHidden)
        for _ in 0..<20 {
            model.advance(by: 2 * Self.mebibyte)
            stage.pass(.milliseconds(100))
        }
        #expect(stage.screen.lines.count == 3)
        #expect(stage.screen.lines[0].contains("model.safetensors"))
        #expect(stage.screen.lines[1].hasPrefix("  0 of 2  ") && stage.screen.lines[1].contains("39%"))
        stage.renderer.began(config)
        stage.renderer.ended(config, .skipped)
        stage.pass(.milliseconds(100))
        #expect(stage.screen.lines[0] == "✓ config.json  cached")
        #expect(stage.screen.lines[1].contains("40%"))
        stage.renderer.ended(model, .succeeded)
        stage.renderer.finish()
        #expect(
            stage.screen.lines == ["✓ config.json  cached", "✓ model.safetensors  100.0 MiB in 2.2 s", ""])
        #expect(!stage.screen.isCursorHidden)
    }

    @Test func oneBarLooksLikeThis() {
        let stage = Stage(.tty)
        let model = Activity("model.safetensors", total: Int64(100 * Self.mebibyte))
        stage.renderer.began(model)
        stage.pass(.seconds(1))
        model.advance(by: 40 * Self.mebibyte)
        stage.pass(.seconds(1))
        #expect(
            stage.screen.lines == [
                "⠋ model.safetensors  ━━━━━━━━━━━━──────────────────   40%  40.0 MiB / 100.0 MiB  20.0 MiB/s  0:03", "",
            ])
    }

    @Test func aFailureNamesItsReasonWithoutItsControlCharacters() {
        let stage = Stage(.tty)
        let activity = Activity("a\u{1b}[2Jb\nc", total: 10)
        stage.renderer.began(activity)
        stage.pass(.milliseconds(100))
        #expect(stage.screen.lines[0].contains(#"a\u{1b}[2Jb\nc"#))
        stage.renderer.ended(activity, .failed(KapsuleError(.usage, id: "x", "no\u{9b}31m good")))
        stage.renderer.finish()
        #expect(stage.screen.lines == [#"✗ a\u{1b}[2Jb\nc  no\u{9b}31m good"#, ""])
    }

    @Test func messagesStandAboveTheBars() {
        let stage = Stage(.tty)
        stage.renderer.began(Activity("model", total: 10))
        stage.pass(.milliseconds(100))
        stage.renderer.message("mind the gap\nsecond line", level: "warning")
        stage.pass(.milliseconds(100))
        #expect(stage.screen.lines.prefix(2) == ["warning: mind the gap", "second line"])
        #expect(stage.screen.lines[2].contains("model"))
        stage.renderer.finish()
        stage.renderer.message("late")
        #expect(stage.screen.lines == ["warning: mind the gap", "second line", "late", ""])
    }

    @Test(arguments: [20, 30, 45, 60, 80, 120, 300])
    func noLineIsAsWideAsTheTerminal(_ columns: Int) {
        let stage = Stage(.tty, environment: ["TERM": "xterm"])
        stage.resize(columns: columns)
        for title in ["模型-权重-非常长的文件名-第一部分.safetensors", "x", String(repeating: "long", count: 100)] {
            stage.renderer.began(Activity(title, total: 1 << 40))
        }
        stage.renderer.began(Activity("no total", total: nil))
        stage.pass(.seconds(1))
        #expect(stage.screen.lines.count == 6)
        for line in stage.screen.lines { #expect(DisplayWidth.of(line) < columns, "\(line)") }
        #expect(stage.screen.raw.contains("\u{1b}[36m"))
    }

    @Test func moreThanFitAreCounted() {
        let stage = Stage(.tty)
        for number in 1...300 { stage.renderer.began(Activity("file \(number)", total: 10)) }
        stage.pass(.milliseconds(100))
        #expect(stage.screen.lines.count == BarDisplay.mostBars + 3)
        #expect(stage.screen.lines[BarDisplay.mostBars] == "  and 288 more")
        stage.resize(columns: 80, rows: 6)
        stage.pass(.milliseconds(100))
        #expect(stage.screen.lines.count == 6)
    }

    @Test func aNarrowerTerminalIsWipedWhole() {
        let stage = Stage(.tty)
        stage.renderer.began(Activity("model.safetensors", total: 1 << 30))
        stage.pass(.seconds(1))
        let before = stage.screen.raw.count
        stage.resize(columns: 40)
        stage.pass(.seconds(1))
        // A line of up to 99 columns has become three of 40 at most.
        let up = stage.screen.raw.dropFirst(before).prefix { $0 != "A" }
        #expect(["\r\u{1b}[2", "\r\u{1b}[3"].contains(String(up)))
    }

    @Test func plainIsLinesWithoutEscapeCodes() {
        let stage = Stage(.plain)
        let model = Activity("模\u{1b}型.gguf", total: Int64(100 * Self.mebibyte))
        stage.renderer.began(model)
        for _ in 0..<8 {
            model.advance(by: 10 * Self.mebibyte)
            stage.pass(.seconds(1))
        }
        stage.renderer.ended(model, .succeeded)
        stage.renderer.finish()
        #expect(
            stage.screen.raw == #"""
                模\u{1b}型.gguf: started, 100.0 MiB
                模\u{1b}型.gguf: 50%, 50.0 MiB / 100.0 MiB, 10.0 MiB/s, 0:05 left
                模\u{1b}型.gguf: done, 100.0 MiB in 8.0 s

                """#)
    }

    @Test func jsonIsAnObjectALine() throws {
        let stage = Stage(.json)
        let model = Activity("a\"\n\u{9b}", total: 100)
        let failing = Activity("b", total: nil)
        stage.renderer.began(model)
        stage.renderer.began(failing)
        model.advance(by: 40)
        stage.pass(.seconds(1))
        stage.renderer.ended(failing, .failed(KapsuleError(.unavailable, id: "hub.gone", "it is gone")))
        stage.renderer.ended(model, .succeeded)
        stage.renderer.message("hm", level: "warning")
        stage.renderer.finish()
        #expect(
            stage.screen.raw == #"""
                {"event":"began","id":1,"title":"a\"\n\u009b","done":0,"total":100}
                {"event":"began","id":2,"title":"b","done":0,"total":null}
                {"event":"progress","id":1,"title":"a\"\n\u009b","done":40,"total":100}
                {"event":"ended","id":2,"title":"b","done":0,"total":null,"outcome":"failed","error":"hub.gone","message":"it is gone"}
                {"event":"ended","id":1,"title":"a\"\n\u009b","done":100,"total":100,"outcome":"succeeded"}
                {"event":"log","level":"warning","message":"hm"}

                """#)
        for line in stage.screen.raw.split(separator: "\n") {
            _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
        }
    }

    @Test func noneShowsMessagesAlone() {
        let stage = Stage(.none)
        let model = Activity("model", total: 100)
        stage.renderer.began(model)
        stage.renderer.message("bad", level: "error")
        stage.pass(.seconds(10))
        stage.renderer.ended(model, .succeeded)
        stage.renderer.finish()
        #expect(stage.screen.raw == "error: bad\n")
    }

    @Test func whenNobodyReadsTheWorkGoesOn() {
        let stage = Stage(.tty)
        let model = Activity("model", total: 100)
        stage.renderer.began(model)
        stage.pass(.seconds(1))
        let before = stage.screen.raw
        stage.close()
        stage.pass(.seconds(1))
        model.advance(by: 50)
        stage.pass(.seconds(1))
        stage.renderer.ended(model, .succeeded)
        stage.renderer.finish()
        #expect(stage.screen.raw == before)
    }

    @Test func aTerminalThatStandsStillHoldsNobodyUp() {
        let isWriting = DispatchSemaphore(value: 0)
        let release = DispatchSemaphore(value: 0)
        let renderer = ProgressRenderer(
            .plain, environment: [:], isTerminal: false,
            surroundings: .init(
                now: { .zero }, size: { (80, 24) },
                write: { _ in
                    isWriting.signal()
                    release.wait()
                }, patience: .milliseconds(20)))
        let model = Activity("model", total: 100)
        renderer.began(model)
        isWriting.wait()
        for number in 0..<20_000 { renderer.message("message \(number)") }
        renderer.ended(model, .succeeded)
        renderer.finish()
        renderer.message("nobody waits for this either")
        release.signal()
    }

    /// With its own thread, what is noted comes out by itself.
    @Test func theThreadLooksWithoutBeingAsked() {
        let written = DispatchSemaphore(value: 0)
        let renderer = ProgressRenderer(
            .none, environment: [:], isTerminal: false,
            surroundings: .init(now: { .zero }, size: { (80, 24) }, write: { _ in written.signal() }))
        renderer.message("hello")
        written.wait()
        renderer.finish()
    }

    /// Bytes and percents of every activity and of their sum, as they were seen, while attempts start again at random.
    @Test func nothingShownEverRunsBackwards() {
        let seed =
            UInt64(ProcessInfo.processInfo.environment["KAPSULE_TEST_SEED"] ?? "") ?? UInt64.random(in: 1...999_999)
        print("KAPSULE_TEST_SEED=\(seed)")
        var random = SeededGenerator(seed: seed)
        let stage = Stage(.json)
        let bars = Stage(.tty)
        var running: [Activity] = []
        var board = ActivityBoard()
        var highest = (bytes: Int64(0), percent: 0)
        board.expect(bytes: 20_000, activities: 20)
        for step in 0..<400 {
            let now = Duration.milliseconds(100 * step)
            if step % 20 == 0 {
                let activity = Activity(
                    "\(step / 20)", total: step % 60 == 0 ? nil : Int64.random(in: 0...3000, using: &random))
                running.append(activity)
                _ = board.began(activity, at: now)
                for stage in [stage, bars] { stage.renderer.began(activity) }
            }
            for activity in running {
                activity.advance(by: Int.random(in: 0...50, using: &random))
                if Int.random(in: 0..<20, using: &random) == 0 {
                    activity.restart(at: Int64.random(in: 0...activity.done, using: &random))
                }
            }
            if !running.isEmpty, Int.random(in: 0..<30, using: &random) == 0 {
                let activity = running.remove(at: Int.random(in: running.indices, using: &random))
                let outcome = [ActivityOutcome.succeeded, .skipped, .failed(KapsuleError(.usage, id: "x", "x"))]
                    .randomElement(using: &random)!
                _ = board.ended(activity, outcome, at: now)
                for stage in [stage, bars] { stage.renderer.ended(activity, outcome) }
            }
            board.look(at: now)
            for stage in [stage, bars] { stage.pass(.milliseconds(100)) }
            if let sum = board.sum(at: now) {
                #expect(sum.done >= highest.bytes && (sum.percent ?? 0) >= highest.percent)
                highest = (sum.done, sum.percent ?? 0)
            }
        }
        var seen: [String: Int] = [:]
        for line in stage.screen.raw.split(separator: "\n") {
            let done = Int(line.split(separator: "\"done\":")[1].prefix { $0.isNumber })!
            let id = String(line.split(separator: "\"id\":")[1].prefix { $0.isNumber })
            #expect(done >= seen[id] ?? 0)
            seen[id] = done
        }
        #expect(seen.count == 20)
    }
}
