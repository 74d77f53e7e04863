"""`scalableapp adopt`: a ScalableApp made from a workload and the autoscalers that it has."""
