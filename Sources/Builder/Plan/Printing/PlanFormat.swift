/// What a plan can be printed as.
public enum PlanFormat: String, Sendable, CaseIterable {
    case text, json, dot, mermaid, svg
}

extension Plan {
    /// The plan as a document, with a newline at its end. Equal plans give equal bytes.
    ///
    /// Nodes are numbered from 1, in every format alike.
    public func rendered(as format: PlanFormat) -> String {
        switch format {
        case .text: PlanText(self).rendered()
        case .json: PlanJSON(self).rendered()
        case .dot: PlanDot(self).rendered()
        case .mermaid: PlanMermaid(self).rendered()
        case .svg: PlanSVG(self).rendered()
        }
    }
}
