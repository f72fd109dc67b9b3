import { lookUp } from "../../../tests/convex/storage";

lookUp();
